//go:build vm

package vmtest

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/support"

	"pmem-memcached-e2e/framework/lab/lifecycle"
	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/wait"
)

// A node goes through all states without a power cut, while the other one
// notices nothing.
func (s *suite) testPower(t *testing.T) {
	const node, other = "node2", "node1"
	before := s.node(t, node)
	untouched := s.node(t, other)

	t.Logf("pause %.1fs", s.power(t, node, power.Pause).Seconds())
	s.expectPower(t, node, vm.Paused)
	t.Logf("resume %.1fs", s.power(t, node, power.Resume).Seconds())
	s.expectPower(t, node, vm.Running)

	t.Logf("off %.1fs", s.power(t, node, power.Off).Seconds())
	s.expectPower(t, node, vm.Off)
	if err := s.lab.Status(during(t)).Err(); err != nil {
		t.Errorf("with a node that is off: %v", err)
	}
	t.Logf("on %.1fs", s.power(t, node, power.On).Seconds())
	s.expectPower(t, node, vm.Running)
	after := s.node(t, node)
	if before.Status.NodeInfo.BootID == after.Status.NodeInfo.BootID {
		t.Error("the node has not booted")
	}
	t.Logf("reboot %.1fs", s.power(t, node, power.Reboot).Seconds())

	s.testLifeCycle(t, node)

	s.power(t, node, power.Off)
	if err := s.lab.Up(during(t)); err != nil {
		t.Errorf("up with a node that is off: %v", err)
	}
	s.expectPower(t, node, vm.Running)
	if untouched.Status.NodeInfo.BootID != s.node(t, other).Status.NodeInfo.BootID {
		t.Errorf("%s has booted as well", other)
	}
}

// testLifeCycle cuts and starts a node by the interface of e2e-framework.
func (s *suite) testLifeCycle(t *testing.T, name string) {
	t.Helper()
	var provider support.E2EClusterProviderWithLifeCycle = lifecycle.New(s.options)
	state := func() string {
		nodes, err := provider.ListNode(during(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			if n.Name == name {
				return n.State
			}
		}
		t.Fatalf("no %s among %v", name, nodes)
		return ""
	}
	booted := s.node(t, name).Status.NodeInfo.BootID
	for _, step := range []struct {
		do   func(context.Context, *support.Node, ...string) error
		args []string
		want vm.Power
	}{
		{provider.StopNode, []string{string(power.Pause)}, vm.Paused},
		{provider.StartNode, nil, vm.Running},
		{provider.StopNode, []string{string(power.Cut)}, vm.Off},
		{provider.StartNode, nil, vm.Running},
	} {
		if err := step.do(during(t), &support.Node{Name: name}, step.args...); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != string(step.want) {
			t.Errorf("%s is %s, want %s", name, got, step.want)
		}
	}
	if s.node(t, name).Status.NodeInfo.BootID == booted {
		t.Errorf("%s has not booted", name)
	}
}

// node returns a node that is Ready.
func (s *suite) node(t *testing.T, name string) *corev1.Node {
	t.Helper()
	var node *corev1.Node
	if err := s.wait.Until(during(t), wait.LabNode, name+" to be Ready", func(ctx context.Context) (bool, string, error) {
		var err error
		if node, err = s.cluster.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return false, "", err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady {
				return c.Status == corev1.ConditionTrue, c.Message, nil
			}
		}
		return false, "no condition", nil
	}); err != nil {
		t.Fatal(err)
	}
	return node
}
