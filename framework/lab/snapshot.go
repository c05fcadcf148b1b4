package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// snapshotForm changes when Up does something else to a cluster that the key
// of a snapshot does not contain.
const snapshotForm = "2"

// snapshotLife is how long a snapshot is used. The keys in it must outlast
// that by the life of a lab.
const snapshotLife = keyLife / 2

// snapshot returns the snapshot of a lab like this one: a directory with its
// keys, what its etcd holds, and for each node its disk, its persistent and its
// main memory, and the state of the machine.
func (l *Lab) snapshot(ctx context.Context) (artifact.Artifact, error) {
	qemu, err := within(ctx, l.parts.QEMU.Command("--version")).Output()
	if err != nil {
		return artifact.Artifact{}, fmt.Errorf("version of QEMU: %w", err)
	}
	return l.snapshotBy(string(qemu))
}

// snapshotBy is snapshot for a QEMU that reports that version.
func (l *Lab) snapshotBy(qemu string) (artifact.Artifact, error) {
	a := artifact.Artifact{Name: "snapshot", Make: l.takeSnapshot}
	processor := ""
	if l.plan.Accel == "kvm" {
		var err error
		if processor, err = processorModel(); err != nil {
			return a, err
		}
	}
	// The same lab at a place that is the same for all.
	like := *l
	like.dir, like.plan.Memory, like.opts.Name = "/lab", "/memory", "lab"
	like.plan.boot(l.parts)
	commands := []*exec.Cmd{like.etcd(), like.apiServer(), like.controllerManager(), like.scheduler()}
	for _, n := range like.plan.nodes() {
		commands = append(commands, like.qemu(n))
	}
	for _, c := range commands {
		a.Key.Add("command", append([]string{c.Path}, c.Args...)...)
	}
	a.Key.Add("form", snapshotForm)
	a.Key.Add("qemu", qemu, processor)
	a.Key.Add("parts", l.parts.Directories...)
	a.Key.Add("files", nodeEnvironment, kubeletConfig, proxyConfig, cniConfig, corednsYAML)
	a.Key.Add("driver", append([]string{string(l.plan.Driver)}, l.plan.Driver.files()...)...)
	a.Key.Add("period", time.Now().UTC().Truncate(snapshotLife).Format(time.DateOnly))
	return a, nil
}

// processorModel returns what the kernel says the processor of this host is.
func processorModel() (string, error) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "model name"); ok {
			return name, nil
		}
	}
	return "", errors.New("/proc/cpuinfo has no model name")
}

// takeSnapshot brings the lab up from nothing, stops it at that moment and
// writes it into dir. Nothing of it runs afterwards.
func (l *Lab) takeSnapshot(ctx context.Context, dir string, _ io.Writer) (err error) {
	// It holds keys.
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	lab := *l
	lab.main = mainMemory{dir: l.plan.Memory}
	defer func() { err = errors.Join(err, lab.stop()) }()
	phases := append(lab.booting(),
		phase{"freeze", lab.freeze, "see logs/kube-apiserver.log and logs/node1.log"},
		phase{"save", func(ctx context.Context) error { return lab.save(ctx, dir) }, "the cache directory needs room for the main memory of all nodes"},
	)
	for _, p := range phases {
		if err := lab.carryOut(ctx, p); err != nil {
			return fmt.Errorf("phase %q: %w\nhint: %s", p.name, err, p.hint)
		}
	}
	return nil
}

// stop ends the lab's processes and removes what they worked on.
func (l *Lab) stop() error {
	defer l.programs.Leave()
	return errors.Join(
		l.programs.KillAll(),
		os.RemoveAll(l.dir.Path(state.EtcdDir)),
		os.RemoveAll(l.dir.Key()),
		os.RemoveAll(l.dir.Path(state.NodesDir)),
		os.RemoveAll(l.plan.Memory),
	)
}

// freeze stops the nodes at a moment at which each of their programs knows that
// the API server is gone, so that each looks for it as soon as it continues.
// Otherwise it would wait for messages on a connection that only it knows of.
func (l *Lab) freeze(ctx context.Context) error {
	for _, name := range []string{"forwarder", "kube-controller-manager", "kube-scheduler", "kube-apiserver"} {
		if p, runs := l.programs.Find(name); runs {
			if err := p.Kill(); err != nil {
				return err
			}
		}
	}
	etcd, runs := l.programs.Find("etcd")
	if !runs {
		return errors.New("etcd does not run")
	}
	soon := l.wait
	soon.Interval = 10 * time.Millisecond
	if err := soon.Until(ctx, wait.LabFrozen, "the nodes to close their connections to the API server", func(context.Context) (bool, string, error) {
		open, err := openConnections(fmt.Sprintf("/proc/%d/net/tcp", etcd.PID))
		return open == 0, fmt.Sprintf("%d open", open), err
	}); err != nil {
		return err
	}
	if err := topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		return l.ask(ctx, n, qmp.Command{Execute: "stop"}, nil)
	}); err != nil {
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

// Files of a node in a snapshot, next to those of its memory.
func stateFile(dir string, n topology.Node) string    { return filepath.Join(dir, n.Name()+".state") }
func savedDisk(dir string, n topology.Node) string    { return filepath.Join(dir, n.Name()+".qcow2") }
func savedConfig(dir string, n topology.Node) string  { return filepath.Join(dir, n.Name()+".config") }
func savedPMEM(dir string, n topology.Node) string    { return pmemFile(dir, n) }
func savedMain(dir string, n topology.Node) string    { return mainMemory{dir: dir}.file(n) }
func (l *Lab) migrationSocket(n topology.Node) string { return l.dir.Node(n, "migration.sock") }

// save writes a lab that is frozen into dir and ends its machines.
func (l *Lab) save(ctx context.Context, dir string) error {
	for _, name := range []string{state.EtcdDir, state.KeysDir} {
		if err := copyTree(ctx, l.dir.Path(name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		if err := l.saveState(ctx, n, stateFile(dir, n)); err != nil {
			return fmt.Errorf("state of the machine: %w", err)
		}
		// What QEMU has of the disk is in the file when it has ended.
		if err := l.ask(ctx, n, qmp.Command{Execute: "quit"}, nil); err != nil {
			return err
		}
		if err := l.wait.Until(ctx, wait.LabFrozen, "QEMU of "+n.Name()+" to end", func(context.Context) (bool, string, error) {
			p, runs := l.programs.Find(n.Name())
			return !runs, fmt.Sprintf("process %d still runs", p.PID), nil
		}); err != nil {
			return err
		}
		for from, to := range map[string]string{
			l.dir.Node(n, diskFile):   savedDisk(dir, n),
			l.dir.Node(n, configFile): savedConfig(dir, n),
			l.pmemFile(n):             savedPMEM(dir, n),
			l.main.file(n):            savedMain(dir, n),
		} {
			if err := copyTree(ctx, from, to); err != nil {
				return err
			}
		}
		return nil
	})
}

// ignoreShared leaves memory that is in files out of a machine's state. It is
// QEMU's name for it, and has been since release 4.0.
var ignoreShared = qmp.Command{Execute: "migrate-set-capabilities", Arguments: map[string]any{
	"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}},
}}

// saveState writes the state of a machine that is stopped.
func (l *Lab) saveState(ctx context.Context, n topology.Node, path string) error {
	listener, err := net.Listen("unix", l.migrationSocket(n))
	if err != nil {
		return err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	if err := l.ask(ctx, n, ignoreShared, nil); err != nil {
		return err
	}
	if err := l.ask(ctx, n, qmp.Command{Execute: "migrate", Arguments: map[string]string{"uri": "unix:" + l.migrationSocket(n)}}, nil); err != nil {
		return err
	}
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, conn)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return l.awaitMigration(ctx, n)
}

func (l *Lab) awaitMigration(ctx context.Context, n topology.Node) error {
	soon := l.wait
	soon.Interval = 20 * time.Millisecond
	return soon.Until(ctx, wait.LabFrozen, "the state of "+n.Name()+" to be complete", func(ctx context.Context) (bool, string, error) {
		var answer struct {
			Status string `json:"status"`
			Error  string `json:"error-desc"`
		}
		err := l.ask(ctx, n, qmp.Command{Execute: "query-migrate"}, &answer)
		if answer.Status == "failed" || answer.Status == "cancelled" {
			err = wait.Stop(fmt.Errorf("QEMU %s: %s", answer.Status, answer.Error))
		}
		return answer.Status == "completed", "QEMU says " + answer.Status, err
	})
}

// copyTree copies a file or a directory; holes stay holes.
func copyTree(ctx context.Context, from, to string) error {
	return command(ctx, "cp", "--archive", "--sparse=always", "--reflink=auto", from, to)
}
