package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// restoring are the phases of a lab that continues from a snapshot.
func (l *Lab) restoring() []phase {
	return []phase{
		{"snapshot", l.makeSnapshot, "make lab-up without LAB_SNAPSHOT starts the lab from nothing"},
		{"network", l.enterNetwork, networkHint},
		{"restore", l.restore, "see logs/kube-apiserver.log, and QEMU's own words in logs/node1.log"},
		{"wake", l.wake, "see logs/node1.log"},
		{"awake", l.awaitAwake, driverHint},
	}
}

// makeSnapshot takes the snapshot if there is none yet.
func (l *Lab) makeSnapshot(ctx context.Context) (err error) {
	a, err := l.snapshot(ctx)
	if err != nil {
		return err
	}
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return hostError(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if l.plan.Snapshot, err = store.Get(ctx, a); err != nil {
		return err
	}
	m, err := readMade(string(l.dir))
	if err != nil {
		return err
	}
	m.Directories = append(m.Directories, l.plan.Snapshot)
	return l.writeMade(*m)
}

// restore makes of a snapshot what Up makes of nothing, up to the machines and
// the control plane, which it starts in parallel. The nodes do not run yet.
func (l *Lab) restore(ctx context.Context) error {
	l.plan.boot(l.parts)
	if err := errors.Join(l.writePlan(), private.MakeDir(l.plan.Memory)); err != nil {
		return err
	}
	for _, name := range []string{state.EtcdDir, state.KeysDir} {
		if err := copyTree(ctx, filepath.Join(l.plan.Snapshot, name), l.dir.Path(name)); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.startControlPlane(ctx) })
	g.Go(func() error { return topology.Each(ctx, l.plan.nodes(), l.load) })
	return g.Wait()
}

// load starts the machine of a node with all that the snapshot has of it.
func (l *Lab) load(ctx context.Context, n topology.Node) error {
	dir := l.plan.Snapshot
	if err := os.MkdirAll(l.dir.Node(n), 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{
		savedConfig(dir, n): l.dir.Node(n, configFile),
		savedPMEM(dir, n):   l.pmemFile(n),
	} {
		if err := copyTree(ctx, from, to); err != nil {
			return err
		}
	}
	if err := l.makeDisk(ctx, n, "qcow2", savedDisk(dir, n)); err != nil {
		return err
	}
	lab := *l
	lab.main = mainMemory{dir: dir, private: true}
	if err := lab.startMachine(n, "-S", "-incoming", "defer"); err != nil {
		return err
	}
	if err := l.loadState(ctx, n, stateFile(dir, n)); err != nil {
		return fmt.Errorf("state of the machine: %w", err)
	}
	return nil
}

func (l *Lab) loadState(ctx context.Context, n topology.Node, path string) error {
	if err := l.wait.Until(ctx, wait.LabFrozen, "QEMU of "+n.Name()+" to answer", func(ctx context.Context) (bool, string, error) {
		if err := l.alive(n); err != nil {
			return false, "", err
		}
		err := l.ask(ctx, n, ignoreShared, nil)
		return err == nil, "", err
	}); err != nil {
		return err
	}
	if err := l.ask(ctx, n, qmp.Command{Execute: "migrate-incoming", Arguments: map[string]string{"uri": "unix:" + l.migrationSocket(n)}}, nil); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", l.migrationSocket(n))
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, f)
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("%w; the end of QEMU's log:\n%s", err, process.LogTail(l.dir.Log(n.Name()), 8))
	}
	return l.awaitMigration(ctx, n)
}

// wake has the nodes continue at the present time.
func (l *Lab) wake(ctx context.Context) error {
	return topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		if err := l.setClock(n); err != nil {
			return err
		}
		return l.ask(ctx, n, qmp.Command{Execute: "cont"}, nil)
	})
}
