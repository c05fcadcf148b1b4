package deploy

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func pod(name string, phase corev1.PodPhase, ready bool, statuses ...corev1.ContainerStatus) corev1.Pod {
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Status:     corev1.PodStatus{Phase: phase, Conditions: []corev1.PodCondition{condition}, ContainerStatuses: statuses},
	}
}

func deleted(p corev1.Pod) corev1.Pod {
	p.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	return p
}

func inInit(p corev1.Pod) corev1.Pod {
	p.Status.InitContainerStatuses, p.Status.ContainerStatuses = p.Status.ContainerStatuses, nil
	return p
}

func with(p corev1.Pod, c corev1.PodCondition) corev1.Pod {
	p.Status.Conditions = append(slices.Clone(p.Status.Conditions), c)
	return p
}

func unschedulable(p corev1.Pod) corev1.Pod {
	return with(p, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available: 1 Insufficient memory"})
}

func mounted(p corev1.Pod) corev1.Pod {
	return with(p, corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue})
}

func waiting(reason, message string, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "memcached", RestartCount: restarts,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func terminated(code, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "memcached", RestartCount: restarts,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: code}}}
}

func running(ready bool) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "memcached", Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func event(reason, message, about string) corev1.Event {
	return corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: reason, UID: types.UID("uid-" + reason)},
		Reason:     reason, Message: message, Count: 3,
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: about},
	}
}

func TestReady(t *testing.T) {
	settled := workload{observed: true, want: 1, updated: 1, ready: 1, present: 1, checksUpdated: true}
	with := func(change func(*workload)) workload {
		w := settled
		change(&w)
		return w
	}
	up := pod("a", corev1.PodRunning, true, running(true))
	for _, test := range []struct {
		name     string
		workload workload
		pods     []corev1.Pod
		want     bool
	}{
		{"ready", settled, []corev1.Pod{up}, true},
		{"the controller has not seen the spec yet", with(func(w *workload) { w.observed = false }), []corev1.Pod{up}, false},
		{"the status lags behind the pods", with(func(w *workload) { w.ready = 0 }), []corev1.Pod{up}, false},
		{"the pods lag behind the status", settled, []corev1.Pod{pod("a", corev1.PodRunning, false, running(false))}, false},
		{"rolling update", with(func(w *workload) { w.updated = 0 }), []corev1.Pod{up}, false},
		{"updates are not made by themselves", with(func(w *workload) { w.updated, w.checksUpdated = 0, false }), []corev1.Pod{up}, true},
		{"the pod is being deleted", settled, []corev1.Pod{deleted(up)}, false},
		{"the old pod is still there", settled, []corev1.Pod{up, deleted(pod("b", corev1.PodRunning, true))}, false},
		{"an evicted pod was left behind", settled, []corev1.Pod{up, pod("b", corev1.PodFailed, false)}, true},
		{"one of two", with(func(w *workload) { w.want = 2 }), []corev1.Pod{up}, false},
		{"none wanted", workload{observed: true}, nil, true},
		{"none wanted, one left", workload{observed: true}, []corev1.Pod{deleted(up)}, false},
	} {
		if got := (snapshot{workload: test.workload, pods: test.pods}).ready(); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestProblems(t *testing.T) {
	pending := pod("a", corev1.PodPending, false)
	for _, test := range []struct {
		name   string
		pod    corev1.Pod
		events []corev1.Event
		want   string // the beginning of the problem's text; empty means none
		hold   time.Duration
	}{
		{"creating", pod("a", corev1.PodPending, false, waiting("ContainerCreating", "", 0)), nil, "", 0},
		{"image", pod("a", corev1.PodPending, false, waiting("ErrImagePull", "not found", 0)), nil,
			"container memcached of pod a cannot start: ErrImagePull: not found", shortHold},
		{"image, backing off", pod("a", corev1.PodPending, false, waiting("ImagePullBackOff", "x", 0)), nil,
			"container memcached of pod a cannot start: ImagePullBackOff", shortHold},
		{"image name", pod("a", corev1.PodPending, false, waiting("InvalidImageName", "x", 0)), nil, "container memcached of pod a cannot start", shortHold},
		{"no ConfigMap", pod("a", corev1.PodPending, false, waiting("CreateContainerConfigError", "configmap \"x\" not found", 0)), nil,
			"container memcached of pod a cannot start: CreateContainerConfigError: configmap \"x\" not found", shortHold},
		{"first crash", pod("a", corev1.PodRunning, false, terminated(134, 0)), nil, "", 0},
		{"backing off after the first crash", pod("a", corev1.PodRunning, false, waiting("CrashLoopBackOff", "", 1)), nil, "", 0},
		{"crash loop", pod("a", corev1.PodRunning, false, waiting("CrashLoopBackOff", "", 2)), nil,
			"container memcached of pod a has ended 2 times: waiting: CrashLoopBackOff", 0},
		{"crashed again", pod("a", corev1.PodRunning, false, terminated(134, 3)), nil,
			"container memcached of pod a has ended 3 times: terminated: Error, exit code 134, 3 restarts", 0},
		{"init container", inInit(pod("a", corev1.PodPending, false, terminated(1, 2))), nil, "container memcached of pod a has ended 2 times", 0},
		{"ended well", pod("a", corev1.PodRunning, false, terminated(0, 5)), nil, "", 0},
		{"being deleted", deleted(pod("a", corev1.PodRunning, false, waiting("CrashLoopBackOff", "", 9))), nil, "", 0},
		{"an event says less than the pod", pending, []corev1.Event{event("FailedScheduling", "0/1 nodes are available", "a")}, "", 0},
		{"unschedulable", unschedulable(pending), nil, "pod a cannot be scheduled: 0/1 nodes are available: 1 Insufficient memory", patientHold},
		{"out of space", pending, []corev1.Event{event("FailedMount", "not enough space", "a")}, "FailedMount of Pod a: not enough space", patientHold},
		{"mounted after all", mounted(pending), []corev1.Event{event("FailedMount", "not enough space", "a")}, "", 0},
		{"no driver", pending, []corev1.Event{event("FailedMount",
			"MountVolume.SetUp failed: driver name pmem-csi.intel.com not found in the list of registered CSI drivers", "a")},
			"FailedMount of Pod a: MountVolume.SetUp failed: driver name", longHold},
		{"no driver, seen on a pod that is gone", pending, []corev1.Event{event("FailedMount",
			"driver name pmem-csi.intel.com not found in the list of registered CSI drivers", "b")}, "", 0},
		{"no class", pending, []corev1.Event{event("ProvisioningFailed", `storageclass.storage.k8s.io "x" not found`, "c")}, "ProvisioningFailed of ", longHold},
		{"refused, but the pod is there", pending, []corev1.Event{event("FailedCreate", `pods "a" is forbidden: violates PodSecurity "restricted:latest"`, "s")}, "", 0},
	} {
		s := snapshot{workload: workload{want: 1}, pods: []corev1.Pod{test.pod}, events: test.events}
		got := s.problems(baseline{})
		switch {
		case test.want == "" && len(got) > 0:
			t.Errorf("%s: %+v, want none", test.name, got)
		case test.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0].text, test.want) || got[0].hold != test.hold):
			t.Errorf("%s: %+v, want %q held for %s", test.name, got, test.want, test.hold)
		}
	}
}

func TestRefusedByAdmission(t *testing.T) {
	s := snapshot{workload: workload{want: 1}, events: []corev1.Event{
		event("FailedCreate", `pods "a-0" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true`, "s")}}
	if got := s.problems(baseline{}); len(got) != 1 || got[0].hold != shortHold {
		t.Errorf("%+v, want one problem", got)
	}
	if got := s.problems(s.baseline()); len(got) != 0 {
		t.Errorf("%+v, want none for an event from before", got)
	}
	since := s.baseline()
	s.events[0].Count++
	if got := s.problems(since); len(got) != 1 {
		t.Errorf("%+v, want one for an event that came again", got)
	}
}

func TestImageProblemKeepsItsKey(t *testing.T) {
	key := func(reason string) string {
		s := snapshot{pods: []corev1.Pod{pod("a", corev1.PodPending, false, waiting(reason, "", 0))}}
		return s.problems(baseline{})[0].key
	}
	if a, b := key("ErrImagePull"), key("ImagePullBackOff"); a != b {
		t.Errorf("keys %q and %q, want the same", a, b)
	}
}

func TestRestartsFromBeforeAreForgiven(t *testing.T) {
	before := snapshot{pods: []corev1.Pod{pod("a", corev1.PodRunning, true, corev1.ContainerStatus{Name: "memcached", RestartCount: 4})}}
	for restarts, want := range map[int32]int{5: 0, 6: 1} {
		now := snapshot{pods: []corev1.Pod{pod("a", corev1.PodRunning, false, waiting("CrashLoopBackOff", "", restarts))}}
		if got := now.problems(before.baseline()); len(got) != want {
			t.Errorf("%d restarts: %+v, want %d", restarts, got, want)
		}
	}
}

func TestSnapshotText(t *testing.T) {
	older := event("Scheduled", "old", "a")
	newest := event("FailedMount", "no\n  space", "a")
	older.LastTimestamp, newest.LastTimestamp = metav1.Unix(100, 0), metav1.Unix(200, 0)
	crash := waiting("CrashLoopBackOff", "", 1)
	crash.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 134}
	s := snapshot{workload: workload{want: 2},
		pods:   []corev1.Pod{pod("b", corev1.PodRunning, false, crash), pod("a", corev1.PodRunning, true, running(true))},
		events: []corev1.Event{newest, older}}
	want := "0 of 2 ready; pod a Running, Ready; pod b Running, container memcached waiting: CrashLoopBackOff, before: Error, exit code 134, 1 restarts; FailedMount of Pod a: no space"
	if got := s.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := (snapshot{workload: workload{want: 1}}).String(); got != "0 of 1 ready; no pods" {
		t.Errorf("got %q", got)
	}
}

func TestFromWorkloads(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, ReadyReplicas: 1}
	if w := fromDeployment(d); w.observed || w.want != 1 || w.ready != 0 {
		t.Errorf("%+v", w)
	}
	s := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](0)}}
	if w := fromStatefulSet(s); !w.observed || w.want != 0 || !w.checksUpdated {
		t.Errorf("%+v", w)
	}
	s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	if fromStatefulSet(s).checksUpdated {
		t.Error("OnDelete checks the update")
	}
}
