package lab

import (
	"context"
	"errors"
	"fmt"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/vm"
)

// errNotRoot says why a user namespace is not enough.
var errNotRoot = errors.New("docker takes in an image on this host, which only root can have it do: run the command as root")

// WithKindParts calls use with what a virtual machine for a kind cluster is made of, which is built
// if it is missing, and with what runs its instructions. No lab is needed for that. The parts stay
// until use ends.
func (l *Lab) WithKindParts(ctx context.Context, use func(*artifact.KindParts, vm.Accelerator) error) error {
	if host.OwnerID() != 0 {
		return fmt.Errorf("%w: %w", ErrHost, errNotRoot)
	}
	if err := l.checkCache(); err != nil {
		return err
	}
	return hostError(l.withBuilder(func(b *artifact.Builder, _ artifact.Versions) error {
		parts, err := b.KindParts(ctx)
		if err != nil {
			return err
		}
		chosen, why, err := vm.Choose(ctx, l.opts.Machines.Accel, parts.Kernel, parts.QEMU)
		if err != nil {
			return err
		}
		if why != nil {
			fmt.Fprintf(l.progress, "kind-test uses %s: %v\n", chosen.Name, why)
		}
		return use(parts, chosen)
	}))
}
