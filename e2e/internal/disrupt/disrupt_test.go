package disrupt

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPlaced(t *testing.T) {
	pod := func(node string, conditions ...corev1.PodCondition) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: conditions}}
	}
	refused := func(message string) corev1.PodCondition {
		return corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message}
	}
	for name, test := range map[string]struct {
		pod     *corev1.Pod
		want    string
		noticed bool
	}{
		"not tried":         {pod(""), "", false},
		"on the node":       {pod("node1", corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}), "it is on node node1", false},
		"another reason":    {pod("", refused("0/1 nodes are available: 1 Insufficient memory.")), "Pending: Unschedulable: 0/1 nodes are available: 1 Insufficient memory.", false},
		"the node's cordon": {pod("", refused("0/1 nodes are available: 1 node(s) were unschedulable.")), "Pending: Unschedulable: 0/1 nodes are available: 1 node(s) were unschedulable.", true},
	} {
		got := placed(test.pod)
		if got != test.want || noticed(got) != test.noticed {
			t.Errorf("%s: %q, noticed %t; want %q, %t", name, got, noticed(got), test.want, test.noticed)
		}
	}
}
