package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// Action is what can be done to the power of a node.
type Action string

// Of what a node has, its disk and its persistent memory outlast all of these,
// and its main memory none but Pause and Resume.
const (
	// Off has the node shut down, as its power button does.
	Off Action = "off"
	// Cut takes the power away at once.
	Cut Action = "cut"
	// On starts a node that is off.
	On Action = "on"
	// Reboot is Off and On.
	Reboot Action = "reboot"
	// Pause stops the node's processors, and Resume continues them as if
	// nothing had been. The node's clock stands still in between.
	Pause  Action = "pause"
	Resume Action = "resume"
)

// Actions are all of them.
var Actions = []Action{Off, Cut, On, Reboot, Pause, Resume}

// Power is the state that the power of a node is in.
type Power string

// States of a node.
const (
	Running Power = "running"
	Paused  Power = "paused"
	// Down is the state after Off and Cut.
	Down Power = "off"
	// Lost is a node whose virtual machine ended by itself.
	Lost Power = "lost"
	// Unresponsive is a node whose virtual machine does not report its state.
	Unresponsive Power = "unresponsive"
)

// ErrPower is wrapped by errors that say that a node is not in the state that
// an action starts from.
var ErrPower = errors.New("not possible")

// ErrUnknown is wrapped by errors that say that a lab has no such node or log,
// or knows no such action.
var ErrUnknown = errors.New("unknown")

// Power carries out an action on the node of that name. Off returns when the
// node has shut down; On and Reboot when it is Ready and PMEM-CSI offers its
// persistent memory again. If ctx ends before, what was begun continues.
// An action that leads to the state that the node is in does nothing.
//
// Power does not interfere with another action on another node.
func (l *Lab) Power(ctx context.Context, name string, action Action) error {
	n, l, err := l.powered(name)
	if err != nil {
		return err
	}
	l.doing(name + " " + string(action))
	defer l.doing("")
	switch action {
	case Off:
		err = l.switchOff(ctx, n)
	case Cut:
		err = l.cut(ctx, n)
	case On:
		err = l.switchOn(ctx, n)
	case Reboot:
		if err = l.switchOff(ctx, n); err == nil {
			err = l.switchOn(ctx, n)
		}
	case Pause:
		err = l.switchTo(ctx, n, "stop", Running, Paused)
	case Resume:
		err = l.switchTo(ctx, n, "cont", Paused, Running)
	default:
		return fmt.Errorf("%w: action %q: want one of %q", ErrUnknown, action, Actions)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", n.Name(), action, err)
	}
	return nil
}

// powered finds a node of a lab that was brought up, and the lab as it was
// planned then.
func (l *Lab) powered(name string) (topology.Node, *Lab, error) {
	if s := l.inspect(); !s.present() || !s.Ready || s.unknown != nil {
		return 0, nil, s.Err()
	}
	return l.planned(name)
}

// planned is powered for a lab that may not have come to its end.
func (l *Lab) planned(name string) (topology.Node, *Lab, error) {
	p, err := l.readPlan()
	if err != nil {
		return 0, nil, err
	}
	if p.Nodes == 0 {
		return 0, nil, fmt.Errorf("lab %s has no nodes: bring it up with make lab-up", l.opts.Name)
	}
	as := *l
	as.plan = p
	var names []string
	for _, n := range p.nodes() {
		if n.Name() == name {
			return n, &as, nil
		}
		names = append(names, n.Name())
	}
	return 0, nil, fmt.Errorf("%w: lab %s has no node %q: it has %s", ErrUnknown, l.opts.Name, name, strings.Join(names, ", "))
}

// change calls f while no other command changes the lab.
func (l *Lab) change(ctx context.Context, f func() error) error {
	var unlock func()
	if err := l.wait.Until(ctx, wait.LabLock, "other commands to finish with lab "+l.opts.Name, func(context.Context) (bool, string, error) {
		var err error
		unlock, err = l.lock()
		return err == nil, "", err
	}); err != nil {
		return err
	}
	defer unlock()
	return f()
}

func (l *Lab) switchOff(ctx context.Context, n topology.Node) error {
	if state := l.power(ctx, n); state == Down {
		return nil
	} else if state != Running {
		return fmt.Errorf("%w: it is %s, and only what runs can shut down", ErrPower, state)
	}
	if err := l.change(ctx, func() error {
		if err := l.record(n, func(r *nodeRecord) { r.Off = true }); err != nil {
			return err
		}
		return l.ask(ctx, n, qmp.Command{Execute: "system_powerdown"}, nil)
	}); err != nil {
		return err
	}
	if err := l.wait.Until(ctx, wait.LabShutdown, n.Name()+" to shut down", func(context.Context) (bool, string, error) {
		p, runs := l.programs.Find(n.Name())
		return !runs, fmt.Sprintf("QEMU, process %d, still runs", p.PID), nil
	}); err != nil {
		return fmt.Errorf("%w\nit continues to shut down; the action cut ends it at once", l.console(n, err))
	}
	return nil
}

func (l *Lab) cut(ctx context.Context, n topology.Node) error {
	return l.change(ctx, func() error {
		// Written first: if this command dies now, the node still runs, and
		// that is what its process says.
		if err := l.record(n, func(r *nodeRecord) { r.Off = true }); err != nil {
			return err
		}
		if p, runs := l.programs.Find(n.Name()); runs {
			return p.Kill()
		}
		return nil
	})
}

func (l *Lab) switchOn(ctx context.Context, n topology.Node) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	switch state := l.power(ctx, n); state {
	case Running:
		return nil
	case Down, Lost:
	default:
		return fmt.Errorf("%w: it is %s; the action resume continues it", ErrPower, state)
	}
	if err := l.change(ctx, func() error { return l.restart(ctx, client, n) }); err != nil {
		return err
	}
	return l.awaitRestart(ctx, client, n)
}

// restart starts the machine of a node that was up before.
func (l *Lab) restart(ctx context.Context, client kubernetes.Interface, n topology.Node) error {
	before, err := seenBefore(ctx, client, n)
	if err != nil {
		return fmt.Errorf("what the cluster knows of the node before it starts: %w", err)
	}
	if err := l.record(n, func(r *nodeRecord) { *r = before }); err != nil {
		return err
	}
	return l.startMachine(n)
}

func (l *Lab) awaitRestart(ctx context.Context, client kubernetes.Interface, n topology.Node) error {
	if err := l.awaitNode(ctx, client, n); err != nil {
		return l.console(n, err)
	}
	return l.console(n, l.awaitPMEM(ctx, client, n))
}

// switchTo takes a node from one state to another by a command of QEMU.
func (l *Lab) switchTo(ctx context.Context, n topology.Node, command string, from, to Power) error {
	switch state := l.power(ctx, n); state {
	case to:
		return nil
	case from:
	default:
		return fmt.Errorf("%w: it is %s, not %s", ErrPower, state, from)
	}
	return l.change(ctx, func() error { return l.ask(ctx, n, qmp.Command{Execute: command}, nil) })
}

// monitorLimit is how long QEMU may take to answer: it does at once, or hangs.
const monitorLimit = 5 * time.Second

func (l *Lab) ask(ctx context.Context, n topology.Node, command qmp.Command, result any) error {
	ctx, cancel := context.WithTimeout(ctx, monitorLimit)
	defer cancel()
	m, err := qmp.Dial(ctx, l.dir.Node(n, monitorFile))
	if err != nil {
		return err
	}
	return errors.Join(m.Execute(ctx, command, result), m.Close())
}

// power returns the state that the node is in.
func (l *Lab) power(ctx context.Context, n topology.Node) Power {
	if _, runs := l.programs.Find(n.Name()); !runs {
		if r, err := l.readRecord(n); err == nil && r.Off {
			return Down
		}
		return Lost
	}
	var answer struct {
		Running bool   `json:"running"`
		Status  string `json:"status"`
	}
	if err := l.ask(ctx, n, qmp.Command{Execute: "query-status"}, &answer); err != nil {
		return Unresponsive
	}
	if answer.Running {
		return Running
	}
	return Paused
}

// nodeRecord is what is written down about a node.
type nodeRecord struct {
	// Off says that the node does not run because it was switched off.
	Off bool `json:"off"`
	// Boot and Containers are the boot id of the node and the containers of
	// the cluster's own pods that the API server knew of before the node was
	// last started. What it has of them is no news.
	Boot       string   `json:"boot,omitempty"`
	Containers []string `json:"containers,omitempty"`
}

const recordFile = "record.json"

func (l *Lab) readRecord(n topology.Node) (nodeRecord, error) {
	var r nodeRecord
	text, err := os.ReadFile(l.dir.Node(n, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", l.dir.Node(n, recordFile), err)
	}
	return r, nil
}

// record changes what is written down, all or nothing of it.
func (l *Lab) record(n topology.Node, change func(*nodeRecord)) error {
	r, err := l.readRecord(n)
	if err != nil {
		return err
	}
	change(&r)
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return private.ReplaceFile(l.dir.Node(n, recordFile), text)
}

// seenBefore returns the record of a node that is about to start.
func seenBefore(ctx context.Context, client kubernetes.Interface, n topology.Node) (nodeRecord, error) {
	var r nodeRecord
	object, err := client.CoreV1().Nodes().Get(ctx, n.Name(), metav1.GetOptions{})
	if err != nil {
		return r, err
	}
	r.Boot = object.Status.NodeInfo.BootID
	pods, err := systemPods(ctx, client, n)
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			r.Containers = append(r.Containers, c.ContainerID)
		}
	}
	return r, err
}
