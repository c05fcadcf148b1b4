package snapshot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// RestorePlane copies what the control plane of a lab starts from out of the
// snapshot in dir.
func RestorePlane(ctx context.Context, dir string, lab state.Dir) error {
	for _, name := range []string{state.EtcdDir, state.KeysDir} {
		if err := copyTree(ctx, filepath.Join(dir, name), lab.Path(name)); err != nil {
			return err
		}
	}
	return nil
}

// MainMemory is what the main memory of nodes is made of that continue from the
// snapshot in dir.
func MainMemory(dir string) vm.MainMemory { return vm.MainMemory{Dir: dir, Private: true} }

// Load starts a machine with all that the snapshot in dir has of it. It does not
// run yet.
func Load(ctx context.Context, dir string, m vm.Machine) error {
	if err := os.MkdirAll(filepath.Dir(m.ConfigFile()), 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{
		savedConfig(dir, m.Node): m.ConfigFile(),
		savedPMEM(dir, m.Node):   m.PMEMFile(),
	} {
		if err := copyTree(ctx, from, to); err != nil {
			return err
		}
	}
	if err := m.MakeDisk(ctx, "qcow2", savedDisk(dir, m.Node)); err != nil {
		return err
	}
	if err := m.Start("-S", "-incoming", "defer"); err != nil {
		return err
	}
	if err := m.LoadState(ctx, stateFile(dir, m.Node)); err != nil {
		return fmt.Errorf("state of the machine: %w", err)
	}
	return nil
}

// Wake has a machine continue at the present time.
func Wake(ctx context.Context, m vm.Machine) error {
	if err := m.SetClock(); err != nil {
		return err
	}
	return m.Do(ctx, "cont")
}
