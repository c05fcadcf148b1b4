// Package kind has a cluster of containers on this machine, which is made for a
// run and uses the machine's persistent memory.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	kindcluster "sigs.k8s.io/kind/pkg/cluster"

	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/kind/region"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// Options say which cluster it is and what it is made of.
type Options struct {
	Name      string
	Engine    string // docker, nerdctl or podman
	NodeImage string // empty: kind's default
	Region    string // of the machine's persistent memory
	Images    []string
	// Release is the directory with the YAML of PMEM-CSI's release.
	Release string
	// Dir is where the state and the kubeconfig of the cluster are kept.
	Dir      string
	Waiter   wait.Waiter
	Progress progress.Writer
}

// Cluster is a kind cluster that is there, or is to be made.
type Cluster struct {
	opts     Options
	provider *kindcluster.Provider
	archives []images.Archive
}

// ErrUnfit is wrapped by errors about what the user gave or the machine lacks.
var ErrUnfit = errors.New("the kind cluster cannot be made")

// networkVariables are those by which kind takes a network of another name than
// kind, which all clusters have in common.
var networkVariables = map[string]string{"docker": "KIND_EXPERIMENTAL_DOCKER_NETWORK", "podman": "KIND_EXPERIMENTAL_PODMAN_NETWORK"}

// New returns the cluster that opts describe. It changes nothing on the
// machine; of this process it sets the variable that names the cluster's
// network, because kind has no other way.
func New(opts Options) (*Cluster, error) {
	c := &Cluster{opts: opts}
	var engine kindcluster.ProviderOption
	switch opts.Engine {
	case "docker":
		engine = kindcluster.ProviderWithDocker()
	case "podman":
		engine = kindcluster.ProviderWithPodman()
	case "nerdctl":
		engine = kindcluster.ProviderWithNerdctl("nerdctl")
	default:
		return nil, fmt.Errorf("%w: there is no container engine %q", ErrUnfit, opts.Engine)
	}
	if variable := networkVariables[opts.Engine]; variable != "" {
		if err := os.Setenv(variable, c.network()); err != nil {
			return nil, err
		}
	}
	if c.opts.Progress == nil {
		c.opts.Progress = progress.Lines(io.Discard)
	}
	var err error
	if c.archives, err = images.ReadAll(opts.Images); err != nil {
		return nil, fmt.Errorf("%w: KIND_IMAGES: %w", ErrUnfit, err)
	}
	c.provider = kindcluster.NewProvider(engine, kindcluster.ProviderWithLogger(logger{c.opts.Progress}))
	return c, nil
}

// network is the one of the engine that the nodes are in.
func (c *Cluster) network() string {
	if networkVariables[c.opts.Engine] == "" {
		return "kind"
	}
	return c.opts.Name
}

// Kubeconfig is the path of the cluster's kubeconfig.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.opts.Dir, "kubeconfig") }

// worker is the name of the node with the driver, as kind calls it.
func (c *Cluster) worker() string { return c.opts.Name + "-worker" }

// MemcachedImages are those in the archives, in their order.
func (c *Cluster) MemcachedImages() []string { return images.Named(c.archives, "memcached") }

// Exists reports whether there is a cluster of the name, whoever made it.
func (c *Cluster) Exists() (bool, error) {
	names, err := c.provider.List()
	if err != nil {
		return false, fmt.Errorf("list the kind clusters: %w", err)
	}
	return slices.Contains(names, c.opts.Name), nil
}

// Up makes the cluster. It refuses one that is there.
func (c *Cluster) Up(ctx context.Context) error {
	there, err := c.Exists()
	if err != nil {
		return err
	}
	if there {
		return fmt.Errorf("%w: KIND_NAME=%q: a kind cluster of this name exists, and it is left alone; give another name, or remove it with e2e kind down, or kind delete cluster --name %s if the suite did not make it",
			ErrUnfit, c.opts.Name, c.opts.Name)
	}
	if left, err := readState(c.opts.Dir); err == nil && left.Region != (region.State{}) {
		return fmt.Errorf("%w: the cluster %s is gone, and its persistent memory was not given back: %s; then remove %s", ErrUnfit, c.opts.Name, left.Region.ByHand(), c.opts.Dir)
	}
	s := &state{Dir: c.opts.Dir, Name: c.opts.Name, Engine: c.opts.Engine}
	for _, p := range []struct {
		name string
		do   func(context.Context, *state) error
	}{
		{"node image", c.pull},
		{"cluster", c.create},
		{"images", c.load},
		{"persistent memory", c.takeRegion},
		{"PMEM-CSI", c.install},
		{"driver", c.awaitDriver},
	} {
		if err := p.do(ctx, s); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("kind cluster %s: %s: %w", c.opts.Name, p.name, err)
		}
		fmt.Fprintf(c.opts.Progress, "kind     %s: done\n", p.name)
	}
	return nil
}

// Down removes everything that Up has made. It does nothing if there is no
// state of the cluster: then this suite has not made it.
func (c *Cluster) Down(ctx context.Context) error {
	s, err := readState(c.opts.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	errs := []error{c.giveBack(ctx, s)}
	if err := c.provider.Delete(s.Name, c.Kubeconfig()); err != nil {
		errs = append(errs, fmt.Errorf("delete the kind cluster %s: %w", s.Name, err))
	}
	errs = append(errs, c.removeNetwork(ctx, s), c.removeImage(ctx, s))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(c.opts.Dir)
}

// Made reports whether this suite has made the cluster, or has begun to.
func (c *Cluster) Made() bool {
	_, err := readState(c.opts.Dir)
	return err == nil
}

// SaveLogs collects what kind knows of the nodes into a directory.
func (c *Cluster) SaveLogs(dir string) error {
	if err := c.provider.CollectLogs(c.opts.Name, dir); err != nil {
		return fmt.Errorf("collect the logs of the kind cluster %s: %w", c.opts.Name, err)
	}
	return nil
}
