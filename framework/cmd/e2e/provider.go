package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/lifecycle"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/wait"
)

// labProvider gives the runner a lab.
type labProvider struct {
	relay
	lab     *lab.Lab
	images  config.Deploy // those that are asked for
	keep    bool
	logs    string // directory for the lab's own logs
	secrets *redact.Redactor
}

// newLab returns the lab that is built from a checkout; empty: no part can be
// built.
func newLab(c config.Config, checkout string, secrets *redact.Redactor) (*labProvider, error) {
	opts, err := lab.Configured(c.Lab)
	if err != nil {
		return nil, err
	}
	p := &labProvider{relay: newRelay(), images: c.Deploy, keep: c.Cluster.KeepLab, logs: filepath.Join(c.ReportDir, "lab"), secrets: secrets}
	opts.SourceDir, opts.Progress = checkout, p
	opts.Waiter = wait.Waiter{Scale: c.WaitScale, Observe: func(r wait.Record) { p.observe(r) }}
	if p.lab, err = lab.New(opts); err != nil {
		return nil, err
	}
	if _, err := p.offered(); err != nil {
		return nil, err
	}
	if err := p.lab.BecomeRoot(); err != nil {
		return nil, err
	}
	if err := p.lab.Check(); err != nil {
		return nil, err
	}
	if up := p.lab.Status(context.Background()); c.Qualification && (opts.Snapshot || up.Snapshot != "") {
		return nil, fmt.Errorf("LAB_SNAPSHOT: a qualification run examines a cluster that has started from nothing; leave it unset, and remove a lab that came from a snapshot with make lab-down")
	}
	return p, nil
}

// lock is the path of the file that keeps two runs from one lab. It lies next
// to the lab's state.
func (p *labProvider) lock() string {
	return filepath.Dir(p.lab.Kubeconfig()) + ".run.lock"
}

// Up implements run.Provider.
func (p *labProvider) Up(ctx context.Context, w progress.Writer, observe func(wait.Record)) (run.Target, error) {
	p.out, p.observe = w, observe
	if err := os.RemoveAll(p.logs); err != nil {
		return run.Target{}, fmt.Errorf("remove the earlier logs of the lab: %w", err)
	}
	// Who brought the lab up before wants to find it afterwards.
	p.keep = p.keep || p.lab.Status(ctx).Err() == nil
	up := p.lab.UpWhileAlive
	if p.keep {
		up = p.lab.Up
	}
	if err := up(ctx); errors.Is(err, lab.ErrHost) || errors.Is(err, lab.ErrDiffers) {
		return run.Target{}, &run.UsageError{Err: err}
	} else if err != nil {
		return run.Target{}, err
	}
	return p.target(ctx)
}

// target is the lab, which is up.
func (p *labProvider) target(ctx context.Context) (run.Target, error) {
	images, err := p.offered()
	if err != nil {
		return run.Target{}, err
	}
	target := run.Target{Kubeconfig: p.lab.Kubeconfig(), MemcachedImage: images[0], Facts: []report.Fact{p.start(ctx)}, Meter: p.lab.Meter()}
	for _, n := range p.lab.Status(ctx).Nodes {
		target.PMEM = n.PMEM // each has as much
	}
	if len(images) > 1 {
		target.OtherImage = images[1]
	}
	return target, nil
}

// offered are the images of memcached on the nodes, the one to examine first and another release after it: those that
// are asked for, those of archives, and those that the lab is made with.
func (p *labProvider) offered() ([]string, error) {
	built, err := p.lab.MemcachedImages()
	if err != nil {
		return nil, err
	}
	loaded := p.lab.Loaded()
	var errs []error
	find := func(variable, name string) string {
		if name == "" {
			return ""
		}
		full, err := images.Full(name)
		if err == nil && !slices.Contains(slices.Concat(loaded, built), full) {
			err = fmt.Errorf("the nodes of the lab do not have it: give its archive in LAB_IMAGES, or one of %s", strings.Join(slices.Concat(loaded, built), ", "))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w", variable, name, err))
		}
		return full
	}
	chosen := find("MEMCACHED_IMAGE", p.images.MemcachedImage)
	other := find("OTHER_MEMCACHED_IMAGE", p.images.OtherImage)
	memcached := slices.Concat(slices.DeleteFunc(slices.Clone(loaded), func(name string) bool { return images.Name(name) != "memcached" }), built)
	if chosen == "" {
		chosen = memcached[0]
	}
	memcached = slices.DeleteFunc(memcached, func(name string) bool { return name == chosen || name == other })
	if other != "" {
		memcached = slices.Insert(memcached, 0, other)
	}
	return slices.Insert(memcached, 0, chosen), errors.Join(errs...)
}

// start is what the lab started from.
func (p *labProvider) start(ctx context.Context) report.Fact {
	status := p.lab.Status(ctx)
	fact := report.Fact{Group: "cluster", Name: "lab started from", Value: "nothing", Evidence: "state of lab " + status.Name}
	if status.Snapshot != "" {
		fact.Value = filepath.Base(status.Snapshot)
	}
	return fact
}

// Down implements run.Provider.
func (p *labProvider) Down(ctx context.Context, w progress.Writer) error {
	p.out = w
	_, statErr := os.Stat(p.lab.Kubeconfig())
	up := statErr == nil
	var logs error
	if up {
		if err := p.lab.SaveLogs(p.logs, p.secrets); err != nil {
			logs = fmt.Errorf("save the logs of the lab: %w", err)
		}
	}
	if p.keep && up {
		fmt.Fprintf(w, "lab      stays up: KUBECONFIG=%s; make lab-down removes it\n", p.lab.Kubeconfig())
		return logs
	}
	return errors.Join(logs, p.lab.Down(ctx))
}

// nodePower switches the nodes of the cluster that c names; nil: nothing can.
func nodePower(c config.Config) (cluster.NodePower, error) {
	if c.Cluster.Provider != config.Lab {
		return nil, nil
	}
	opts, err := lab.Configured(c.Lab)
	if err != nil {
		return nil, fmt.Errorf("find the lab: %w", err)
	}
	opts.SourceDir, opts.Images = c.Dir, nil // which are on the nodes already
	opts.Waiter = wait.Waiter{Scale: c.WaitScale}
	return lifecycle.New(opts), nil
}
