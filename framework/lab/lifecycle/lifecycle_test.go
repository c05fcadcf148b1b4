package lifecycle

import (
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/e2e-framework/support"

	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/power"
)

func TestStopAction(t *testing.T) {
	for _, c := range []struct {
		args []string
		want power.Action
	}{
		{nil, power.Off}, {[]string{"off"}, power.Off}, {[]string{"cut"}, power.Cut}, {[]string{"pause"}, power.Pause},
		{[]string{"on"}, ""}, {[]string{"CUT"}, ""}, {[]string{"cut", "cut"}, ""}, {[]string{""}, ""},
	} {
		got, err := stopAction(c.args)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%q: %q, %v, want %q", c.args, got, err, c.want)
		}
	}
}

func TestWhatALabCannot(t *testing.T) {
	p := New(lab.Options{Name: "never-up"})
	n := &support.Node{Name: "node1"}
	_, fromFile := p.CreateWithConfig(t.Context(), "kind.yaml")
	_, withArgs := p.Create(t.Context(), "--wait")
	for what, err := range map[string]error{
		"add": p.AddNode(t.Context(), n), "remove": p.RemoveNode(t.Context(), n),
		"create from a file": fromFile, "create with arguments": withArgs, "start with arguments": p.StartNode(t.Context(), n, "fast"),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestALabThatIsNotThere(t *testing.T) {
	p := New(lab.Options{}).WithName("never-up").(*Provider)
	n := &support.Node{Name: "node1"}
	for what, err := range map[string]error{
		"start": p.StartNode(t.Context(), n), "stop": p.StopNode(t.Context(), n, "cut"), "wait": p.WaitForControlPlane(t.Context(), nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "never-up is not there") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if nodes, err := p.ListNode(t.Context()); err != nil || len(nodes) != 0 {
		t.Errorf("nodes: %v, %v", nodes, err)
	}
	if p.KubernetesRestConfig() != nil {
		t.Error("there is a configuration")
	}
}
