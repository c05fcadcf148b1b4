package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/wait"
)

// Freeze stops the nodes at a moment at which each of their programs knows that
// the API server is gone, so that each looks for it as soon as it continues.
// Otherwise it would wait for messages on a connection that only it knows of.
func Freeze(ctx context.Context, programs *process.Group, w wait.Waiter, machines []vm.Machine) error {
	if err := plane.StopServing(programs); err != nil {
		return err
	}
	etcd, runs := plane.FindEtcd(programs)
	if !runs {
		return errors.New("etcd does not run")
	}
	w.Interval = 10 * time.Millisecond
	if err := w.Until(ctx, wait.LabFrozen, "the nodes to close their connections to the API server", func(context.Context) (bool, string, error) {
		open, err := openConnections(fmt.Sprintf("/proc/%d/net/tcp", etcd.PID))
		return open == 0, fmt.Sprintf("%d open", open), err
	}); err != nil {
		return err
	}
	if err := vm.Each(ctx, machines, func(ctx context.Context, m vm.Machine) error { return m.Do(ctx, "stop") }); err != nil {
		return err
	}
	return etcd.Kill()
}

// apiPortHex is topology.APIPort as /proc/net/tcp has it.
const apiPortHex = ":192B"

// openConnections counts the connections to the API server that the other end
// has not closed, in a file like /proc/net/tcp (proc_net_tcp in the kernel's
// documentation).
func openConnections(path string) (open int, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	const timeWait, closed, listen = "06", "07", "0A"
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) > 3 && strings.HasSuffix(fields[1], apiPortHex) && !slices.Contains([]string{timeWait, closed, listen}, fields[3]) {
			open++
		}
	}
	return open, nil
}

// Save writes a lab that is frozen into a directory and ends its machines.
func Save(ctx context.Context, lab state.Dir, machines []vm.Machine, dir string) error {
	for _, name := range []string{state.EtcdDir, state.KeysDir} {
		if err := copyTree(ctx, lab.Path(name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return vm.Each(ctx, machines, func(ctx context.Context, m vm.Machine) error {
		if err := m.SaveState(ctx, stateFile(dir, m.Node)); err != nil {
			return fmt.Errorf("state of the machine: %w", err)
		}
		// What QEMU has of the disk is in the file when it has ended.
		if err := m.Quit(ctx); err != nil {
			return err
		}
		for from, to := range map[string]string{
			m.DiskFile():        savedDisk(dir, m.Node),
			m.ConfigFile():      savedConfig(dir, m.Node),
			m.PMEMFile():        savedPMEM(dir, m.Node),
			m.Main.File(m.Node): savedMain(dir, m.Node),
		} {
			if err := copyTree(ctx, from, to); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyTree copies a file or a directory; holes stay holes.
func copyTree(ctx context.Context, from, to string) error {
	return process.Run(ctx, "cp", "--archive", "--sparse=always", "--reflink=auto", from, to)
}
