package kind

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/kind/pkg/cluster/nodes"

	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/kind/region"
	"pmem-memcached-e2e/framework/wait"
)

const driverImage = "pmem-csi-driver"

// tools returns how ndctl and LVM are run: in a container of the driver's image
// on the worker, which has both. It does without Kubernetes, so that it works
// when that does not.
func (c *Cluster) tools(n nodes.Node) (region.Run, error) {
	reference, err := c.image(driverReference)
	if err != nil {
		return nil, err
	}
	full, err := images.Full(reference)
	if err != nil {
		return nil, err
	}
	number := 0
	return func(ctx context.Context, args ...string) (string, error) {
		number++
		// In a network namespace of its own it has a sysfs that can be written;
		// kind has made the node's read-only.
		command := []string{"ctr", "--namespace", "k8s.io", "run", "--rm", "--privileged",
			"--mount", "type=bind,src=/dev,dst=/dev,options=rbind:rw", "--env", "LVM_SUPPRESS_FD_WARNINGS=1",
			full, fmt.Sprintf("pmem-memcached-e2e-%d", number)}
		return onNode(ctx, n, append(command, args...)...)
	}, nil
}

// onWorker returns the worker, and what runs the region's commands there.
func (c *Cluster) onWorker() (nodes.Node, region.Run, error) {
	n, err := c.node()
	if err != nil {
		return nil, nil, err
	}
	run, err := c.tools(n)
	return n, run, err
}

// takeRegion makes a volume group of the region that the user has named.
func (c *Cluster) takeRegion(ctx context.Context, s *state) error {
	n, run, err := c.onWorker()
	if err != nil {
		return err
	}
	if err := c.ensureImage(ctx, n); err != nil {
		return err
	}
	found, err := region.Find(ctx, run, c.opts.Region)
	if err != nil {
		return err
	}
	_, err = region.Take(ctx, run, found, func(now region.State) error {
		s.Region = now
		return s.save()
	})
	if used, ok := errors.AsType[*region.UsedError](err); ok {
		return fmt.Errorf("%w: KIND_PMEM=%q: %w", ErrUnfit, c.opts.Region, used)
	}
	return err
}

// ensureImage has the worker pull the driver's image if no archive had it.
func (c *Cluster) ensureImage(ctx context.Context, n nodes.Node) error {
	if len(images.Named(c.archives, driverImage)) > 0 {
		return nil
	}
	full, err := images.Full(driverReference)
	if err != nil {
		return err
	}
	_, err = onNode(ctx, n, "ctr", "--namespace", "k8s.io", "images", "pull", "--label", "io.cri-containerd.image=managed", full)
	if err != nil {
		return fmt.Errorf("%w; without a registry give archives of the images with KIND_IMAGES", err)
	}
	return nil
}

// quiet ends everything on the worker that may use a volume. It succeeds when
// nothing does any more.
const quiet = `systemctl stop kubelet
for task in $(ctr --namespace k8s.io tasks ls --quiet); do
	ctr --namespace k8s.io tasks kill --all --signal KILL "$task"
done >/dev/null 2>&1
awk -v device="/dev/mapper/$1-" -v other="/dev/$1/" 'index($1, device) == 1 || index($1, other) == 1 {print $2}' /proc/mounts | sort -r | while read -r target; do
	umount "$target" || exit 1
done`

// giveBack makes the region what it was.
func (c *Cluster) giveBack(ctx context.Context, s *state) error {
	if s.Region == (region.State{}) {
		return nil
	}
	err := c.restore(ctx, s)
	if err != nil {
		return fmt.Errorf("give back the persistent memory of %s: %w; do it by hand: %s", s.Region.Region, err, s.Region.ByHand())
	}
	s.Region = region.State{}
	return s.save()
}

func (c *Cluster) restore(ctx context.Context, s *state) error {
	n, run, err := c.onWorker()
	if err != nil {
		return err
	}
	return c.opts.Waiter.Until(ctx, wait.KindEnded, "the volumes of "+s.Region.Region+" to be unused and removed", func(ctx context.Context) (bool, string, error) {
		if _, err := onNode(ctx, n, "sh", "-c", quiet, "sh", s.Region.Group()); err != nil {
			return false, "", err
		}
		err := region.GiveBack(ctx, run, s.Region)
		return err == nil, "", err
	})
}
