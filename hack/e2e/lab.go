package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/wait"
)

// labProvider gives the runner a lab.
type labProvider struct {
	lab  *lab.Lab
	keep bool
	logs string // directory for the lab's own logs
}

func newLab(c config.Config, root string) (*labProvider, error) {
	opts, err := lab.Environment(os.Getenv)
	if err != nil {
		return nil, err
	}
	opts.SourceDir, opts.Progress, opts.Waiter = root, os.Stdout, wait.Waiter{Scale: c.WaitScale}
	l, err := lab.New(opts)
	if err != nil {
		return nil, err
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	return &labProvider{lab: l, keep: c.Cluster.KeepLab, logs: filepath.Join(c.ReportDir, "lab")}, nil
}

// Up implements run.Provider.
func (p *labProvider) Up(ctx context.Context) (kubeconfig, memcachedImage string, err error) {
	if err := os.RemoveAll(p.logs); err != nil {
		return "", "", fmt.Errorf("remove the earlier logs of the lab: %w", err)
	}
	// Who brought the lab up before wants to find it afterwards.
	p.keep = p.keep || p.lab.Status().Err() == nil
	if err := p.lab.Up(ctx); errors.Is(err, lab.ErrHost) {
		return "", "", &run.UsageError{Err: err}
	} else if err != nil {
		return "", "", err
	}
	return p.lab.Kubeconfig(), p.lab.MemcachedImage(), nil
}

// Down implements run.Provider.
func (p *labProvider) Down(ctx context.Context) error {
	_, statErr := os.Stat(p.lab.Kubeconfig())
	up := statErr == nil
	var logs error
	if up {
		if err := p.lab.SaveLogs(p.logs); err != nil {
			logs = fmt.Errorf("save the logs of the lab: %w", err)
		}
	}
	if p.keep && up {
		fmt.Printf("lab      stays up: KUBECONFIG=%s; make lab-down removes it\n", p.lab.Kubeconfig())
		return logs
	}
	return errors.Join(logs, p.lab.Down(ctx))
}
