package deploy

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

// TestNoRoom makes sure that a second replica which the cluster has no room for is no fault of the deployment, and that one
// which the deployment itself keeps away is.
func TestNoRoom(t *testing.T) {
	first := pod("cache-0", corev1.PodRunning, true)
	second := func(message string) corev1.Pod {
		return with(pod("cache-1", corev1.PodPending, false), corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: message})
	}
	quota := func(message string) corev1.Event {
		e := event("FailedCreate", message, "cache")
		e.Count = 3
		return e
	}
	const beyond = `pods "cache-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1`
	for _, test := range []struct {
		name    string
		pods    []corev1.Pod
		events  []corev1.Event
		seen    int32 // of those events before
		oneNode bool
		room    bool
	}{
		{"memory is used up", []corev1.Pod{first, second("0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available")}, nil, 0, false, false},
		{"storage is used up", []corev1.Pod{first, second("0/2 nodes are available: 1 node(s) had untolerated taint, 1 node(s) did not have enough free storage.")}, nil, 0, false, false},
		{"nor for the first", []corev1.Pod{second("0/1 nodes are available: 1 Insufficient memory.")}, nil, 0, false, true},
		{"its port is taken", []corev1.Pod{first, second("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")}, nil, 0, false, true},
		{"it spreads its pods", []corev1.Pod{first, second("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod anti-affinity rules.")}, nil, 0, false, true},
		{"its port is taken on the one node", []corev1.Pod{first, second("0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) didn't match pod affinity rules.")}, nil, 0, true, false},
		{"its own affinity", []corev1.Pod{first, second("0/2 nodes are available: 2 node(s) didn't match pod affinity rules.")}, nil, 0, false, true},
		{"quota that allows one", []corev1.Pod{first}, []corev1.Event{quota(beyond)}, 0, false, false},
		{"quota of an earlier time", []corev1.Pod{first}, []corev1.Event{quota(beyond)}, 3, false, true},
		{"quota that allows none", nil, []corev1.Event{quota(beyond)}, 0, false, true},
		{"quota that wants limits", []corev1.Pod{first}, []corev1.Event{quota(`is forbidden: failed quota: small: must specify limits.cpu`)}, 0, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot{workload: workload{want: 2}, pods: test.pods, events: test.events}
			b := baseline{events: map[types.UID]int32{}}
			for _, e := range test.events {
				b.events[e.UID] = test.seen
			}
			d := &Deployment{Manifest: &Manifest{changes: Changes{OneNode: test.oneNode}}, settled: b}
			err := d.unready(&wait.TimeoutError{What: "two replicas"}, nil, s, "details")
			want := fault.Infrastructure
			if test.room {
				want = fault.Deployment
			}
			if fault.Of(err) != want || !test.room && !strings.Contains(err.Error(), "the cluster has no room for 2 replicas: ") {
				t.Errorf("judged %d, want %d: %v", fault.Of(err), want, err)
			}
		})
	}
}

// TestOntoOneNode has a deployment whose pods are spread, which the suite places on one node.
func TestOntoOneNode(t *testing.T) {
	m := forms(t, Changes{Namespace: "n", Replicas: 2, OneNode: true})
	spec := m.Template().Spec
	if len(spec.TopologySpreadConstraints) > 0 || spec.Affinity.PodAntiAffinity != nil {
		t.Errorf("the pods are still spread: %+v", spec.Affinity)
	}
	terms := spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if len(terms) != 1 || terms[0].TopologyKey != corev1.LabelHostname || terms[0].LabelSelector.MatchLabels["app"] != "cache" {
		t.Errorf("affinity to other pods of the deployment: %+v", terms)
	}
	if spec.Affinity.NodeAffinity == nil {
		t.Error("the affinity to nodes is lost")
	}
	adjusted := strings.Join(m.Adjusted, "\n")
	for _, want := range []string{"the topology spread constraints of StatefulSet cache are left out", "the pod anti-affinity of StatefulSet cache is left out"} {
		if !strings.Contains(adjusted, want) {
			t.Errorf("not reported: %s in\n%s", want, adjusted)
		}
	}
	if _, found, _ := unstructured.NestedMap(m.workload().Object, "spec", "template", "spec", "affinity", "podAffinity"); !found {
		t.Error("what is applied lacks the affinity")
	}
}
