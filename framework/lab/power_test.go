package lab

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/lab/vm/standin"
	"pmem-memcached-e2e/framework/wait"
)

// poweredLab is a lab of two nodes that was brought up, and its node1.
func poweredLab(t *testing.T) (*Lab, *standin.Machine) {
	t.Helper()
	l := testLab(t)
	l.wait.Interval = time.Millisecond
	l.wait.Limits = map[wait.Name]time.Duration{wait.LabLock: 100 * time.Millisecond, wait.LabNode: 100 * time.Millisecond}
	if err := l.state.Change(func(s *state.State) { s.Ready, s.Plan = true, state.Plan{Nodes: 2, PMEM: 512} }); err != nil {
		t.Fatal(err)
	}
	return l, standin.Start(t, l.dir, l.programs, 1)
}

func (l *Lab) expectPower(t *testing.T, want vm.Power) {
	t.Helper()
	if got := l.Status(t.Context()).Nodes[0].Power; got != want {
		t.Errorf("node1 is %s, want %s", got, want)
	}
}

func TestPower(t *testing.T) {
	for _, end := range []power.Action{power.Off, power.Cut} {
		t.Run(string(end), func(t *testing.T) {
			l, m := poweredLab(t)
			for _, step := range []struct {
				action power.Action
				want   vm.Power
			}{
				{power.Resume, vm.Running}, {power.Pause, vm.Paused}, {power.Pause, vm.Paused}, {power.Resume, vm.Running}, {end, vm.Off}, {end, vm.Off},
			} {
				if err := l.Power(t.Context(), "node1", step.action); err != nil {
					t.Fatalf("%s: %v", step.action, err)
				}
				l.expectPower(t, step.want)
			}
			<-m.Ended
			for _, never := range []power.Action{power.Pause, power.Resume} {
				if err := l.Power(t.Context(), "node1", never); !errors.Is(err, power.ErrState) || !strings.Contains(err.Error(), "off") {
					t.Errorf("%s of a node that is off: %v", never, err)
				}
			}
		})
	}
}

// A paused node has power and can lose it, but hears no button.
func TestPowerOfAPausedNode(t *testing.T) {
	l, _ := poweredLab(t)
	if err := l.Power(t.Context(), "node1", power.Pause); err != nil {
		t.Fatal(err)
	}
	if err := l.Power(t.Context(), "node1", power.Off); !errors.Is(err, power.ErrState) || !strings.Contains(err.Error(), "paused") {
		t.Errorf("off: %v", err)
	}
	if err := l.Power(t.Context(), "node1", power.Cut); err != nil {
		t.Errorf("cut: %v", err)
	}
	l.expectPower(t, vm.Off)
}

func TestANodeThatDoesNotShutDown(t *testing.T) {
	l, m := poweredLab(t)
	m.Deafen()
	l.wait.Limits[wait.LabShutdown] = 100 * time.Millisecond
	if err := private.AppendFile(l.dir.Log("node1/console"), []byte("stopping something\n")); err != nil {
		t.Fatal(err)
	}
	err := l.Power(t.Context(), "node1", power.Off)
	for _, want := range []string{"node1 off", "waited 100ms for node1 to shut down", fmt.Sprint("process ", m.Process.Pid), "stopping something", "cut ends it"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q in it", err, want)
		}
	}
	l.expectPower(t, vm.Running)
	// It has not yet ended, and is not on because of that.
	if err := l.Power(t.Context(), "node1", power.On); err == nil || !strings.Contains(err.Error(), "waited 100ms for node1 to shut down") {
		t.Errorf("on, while it shuts down: %v", err)
	}
	m.Process.Kill()
	<-m.Ended
	l.expectPower(t, vm.Off)
}

func TestANodeThatEndsByItself(t *testing.T) {
	l, m := poweredLab(t)
	m.Process.Kill()
	<-m.Ended
	l.expectPower(t, vm.Lost)
	if err := l.Status(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "node1") {
		t.Errorf("status: %v", err)
	}
	if err := l.Power(t.Context(), "node1", power.Off); !errors.Is(err, power.ErrState) || !strings.Contains(err.Error(), "lost") {
		t.Errorf("off: %v", err)
	}
}

func TestPowerRefuses(t *testing.T) {
	l, _ := poweredLab(t)
	for _, c := range []struct {
		node   string
		action power.Action
		want   string
	}{
		{"node3", power.Cut, `no node "node3": it has node1, node2`},
		{"", power.Cut, `no node ""`},
		{"node1", "explode", `"explode": want one of ["off" "cut" "on" "reboot" "pause" "resume"]`},
	} {
		if err := l.Power(t.Context(), c.node, c.action); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.node, c.action, err, c.want)
		}
	}
	unlock, err := l.dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Power(t.Context(), "node1", power.Cut); err == nil || !strings.Contains(err.Error(), "being changed by another command") {
		t.Errorf("while another command changes the lab: %v", err)
	}
	unlock()
	if err := testLab(t).Power(t.Context(), "node1", power.Cut); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("lab that is not there: %v", err)
	}
}

func TestChooseMemory(t *testing.T) {
	m := &making{lab: testLab(t), plan: state.Plan{Nodes: 2, PMEM: 512}}
	if err := m.chooseMemory(t.Context()); err != nil || m.plan.Memory != m.lab.memory {
		t.Errorf("memory is in %s, %v, want %s", m.plan.Memory, err, m.lab.memory)
	}
	m.plan.PMEM = 1 << 40
	if err := m.chooseMemory(t.Context()); !errors.Is(err, ErrHost) || !strings.Contains(err.Error(), "LAB_PMEM") {
		t.Errorf("more than any host has: %v", err)
	}
}
