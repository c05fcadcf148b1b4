package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"pmem-memcached-e2e/framework/oneline"
)

// engine runs a command of the container engine.
func (c *Cluster) engine(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, c.opts.Engine, args...).CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", c.opts.Engine, strings.Join(args, " "), err, oneline.Of(string(out)))
	}
	return nil
}

// has reports whether the engine has an object.
func (c *Cluster) has(ctx context.Context, kind, name string) (bool, error) {
	err := c.engine(ctx, kind, "inspect", name)
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		return false, nil
	}
	return err == nil, err
}

func (c *Cluster) nodeImage() string { return cmp.Or(c.opts.NodeImage, defaults.Image) }

// pull gets the image of the nodes if the engine does not have it, and writes
// down what has to be removed. kind would pull it, too, but does not stop.
func (c *Cluster) pull(ctx context.Context, s *state) error {
	there, err := c.has(ctx, "network", c.network())
	if err != nil {
		return err
	}
	if !there {
		s.Network = c.network()
	}
	there, err = c.has(ctx, "image", c.nodeImage())
	if err != nil {
		return err
	}
	if !there {
		s.Pulled = c.nodeImage()
	}
	if err := s.save(); err != nil || there {
		return err
	}
	if err := c.engine(ctx, "pull", "--quiet", c.nodeImage()); err != nil {
		return fmt.Errorf("%w; without a registry load it first with %s load --input FILE, and name it with KIND_NODE_IMAGE", err, c.opts.Engine)
	}
	return nil
}

func (c *Cluster) removeNetwork(ctx context.Context, s *state) error {
	return c.remove(ctx, "network", s.Network, "network", "rm")
}

func (c *Cluster) removeImage(ctx context.Context, s *state) error {
	return c.remove(ctx, "image", s.Pulled, "image", "rm")
}

func (c *Cluster) remove(ctx context.Context, kind, name string, command ...string) error {
	if name == "" {
		return nil
	}
	there, err := c.has(ctx, kind, name)
	if err != nil || !there {
		return err
	}
	return c.engine(ctx, append(command, name)...)
}
