package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/kind"
	"pmem-memcached-e2e/framework/kind/host"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/wait"
)

// kindProvider gives the runner a kind cluster.
type kindProvider struct {
	relay
	config  config.Config
	home    home
	host    host.Host
	cluster *kind.Cluster
}

// newKind examines this machine, and returns the cluster that is to be made on
// it. The error has a line for each problem, with its remedy.
func newKind(ctx context.Context, c config.Config, h home) (*kindProvider, error) {
	p := &kindProvider{relay: newRelay(), config: c, home: h}
	var err error
	if p.host, err = host.This().Read(ctx, c.Kind.Engine); err != nil {
		return nil, err
	}
	if err := problems(p.host, c.Kind.PMEM); err != nil {
		return nil, err
	}
	p.cluster, err = p.newCluster(p.host.Engine.Name)
	return p, err
}

// problems joins what the host lacks.
func problems(h host.Host, pmem string) error {
	var regions []string
	if pmem != "" {
		regions = []string{pmem}
	}
	var errs []error
	for _, problem := range h.Problems(regions) {
		errs = append(errs, problem)
	}
	return errors.Join(errs...)
}

func (p *kindProvider) newCluster(engine string) (*kind.Cluster, error) {
	c := p.config
	return kind.New(kind.Options{
		Name: c.Kind.ClusterName(), Engine: engine, NodeImage: c.Kind.NodeImage, Region: c.Kind.PMEM,
		Images: filepath.SplitList(c.Kind.Images), Release: p.release(), Dir: kindDirectory(c), Progress: p,
		Waiter: wait.Waiter{Scale: c.WaitScale, Observe: func(r wait.Record) { p.observe(r) }},
	})
}

// kindDirectory is where the state of a kind cluster is kept, one for each user.
func kindDirectory(c config.Config) string {
	return filepath.Join("/var/tmp", fmt.Sprintf("pmem-memcached-e2e-kind-%d", os.Getuid()), c.Kind.ClusterName())
}

// release is the directory with PMEM-CSI's YAML: in a release archive next to the
// program, in a checkout where it is put before it is needed.
func (p *kindProvider) release() string {
	if p.home.checkout == "" {
		return filepath.Join(p.home.program, "pmem-csi")
	}
	return filepath.Join(p.home.checkout, ".bin", "pmem-csi")
}

// lock keeps two runs from one cluster.
func (p *kindProvider) lock() string { return kindDirectory(p.config) + ".run.lock" }

// Up implements run.Provider.
func (p *kindProvider) Up(ctx context.Context, w progress.Writer, observe func(wait.Record)) (run.Target, error) {
	p.out, p.observe = w, observe
	if err := os.RemoveAll(p.logs()); err != nil {
		return run.Target{}, fmt.Errorf("remove the earlier logs of the kind cluster: %w", err)
	}
	if p.home.checkout != "" {
		if err := os.MkdirAll(p.release(), 0o755); err != nil {
			return run.Target{}, err
		}
		if err := artifact.DriverRelease(ctx, p.home.checkout, p.release(), io.Discard); err != nil {
			return run.Target{}, fmt.Errorf("PMEM-CSI's YAML: %w", err)
		}
	}
	if err := p.cluster.Up(ctx); errors.Is(err, kind.ErrUnfit) {
		return run.Target{}, &run.UsageError{Err: err}
	} else if err != nil {
		return run.Target{}, err
	}
	target := run.Target{Kubeconfig: p.cluster.Kubeconfig(), MemcachedImage: p.config.Deploy.MemcachedImage, OtherImage: p.config.Deploy.OtherImage, Facts: p.facts()}
	var archived [2]string
	copy(archived[:], p.cluster.MemcachedImages())
	target.MemcachedImage = cmp.Or(target.MemcachedImage, archived[0])
	target.OtherImage = cmp.Or(target.OtherImage, archived[1])
	return target, nil
}

// facts are what is different on nodes that are containers.
func (p *kindProvider) facts() []report.Fact {
	const group = "cluster"
	return []report.Fact{
		{Group: group, Name: "nodes", Value: fmt.Sprintf("containers of %s %s on this machine", p.host.Engine.Name, p.host.Engine.Version), Evidence: "provider kind"},
		{Group: group, Name: "kernel", Value: "one for all nodes, " + p.host.Kernel + ": persistent memory counts once, and volumes are visible on all nodes", Evidence: "provider kind"},
		{Group: group, Name: "persistent memory", Value: p.config.Kind.PMEM + " of this machine", Evidence: "KIND_PMEM"},
	}
}

func (p *kindProvider) logs() string { return filepath.Join(p.config.ReportDir, "kind") }

// Down implements run.Provider.
func (p *kindProvider) Down(ctx context.Context, w progress.Writer) error {
	p.out = w
	if !p.cluster.Made() {
		return nil
	}
	logs := p.cluster.SaveLogs(p.logs())
	if p.config.Kind.Keep {
		fmt.Fprintf(w, "kind     stays up: KUBECONFIG=%s; e2e kind down removes it\n", p.cluster.Kubeconfig())
		return logs
	}
	return errors.Join(logs, p.cluster.Down(ctx))
}

// runningKind is a kind cluster that a run has left up, by its directory.
type runningKind struct{ dir string }

// Up implements run.Provider.
func (p runningKind) Up(context.Context, progress.Writer, func(wait.Record)) (run.Target, error) {
	kubeconfig := filepath.Join(p.dir, "kubeconfig")
	if _, err := os.Stat(kubeconfig); err != nil {
		return run.Target{}, &run.UsageError{Err: fmt.Errorf("there is no kind cluster that a run has left up: %w; e2e kind check examines the machine, and KEEP_CLUSTER=1 keeps the cluster of a run", err)}
	}
	return run.Target{Kubeconfig: kubeconfig}, nil
}

// Down implements run.Provider.
func (p runningKind) Down(context.Context, progress.Writer) error { return nil }
