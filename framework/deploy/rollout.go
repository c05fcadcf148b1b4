package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/wait"
)

// workload is what Deployment and StatefulSet have in common.
type workload struct {
	observed                bool // the controller has seen the current spec
	want                    int32
	updated, ready, present int32
	checksUpdated           bool // pods follow the template by themselves
}

func fromDeployment(d *appsv1.Deployment) workload {
	w := workload{
		observed: d.Status.ObservedGeneration >= d.Generation,
		want:     1,
		updated:  d.Status.UpdatedReplicas,
		ready:    min(d.Status.ReadyReplicas, d.Status.AvailableReplicas),
		present:  d.Status.Replicas, checksUpdated: true,
	}
	if d.Spec.Replicas != nil {
		w.want = *d.Spec.Replicas
	}
	return w
}

func fromStatefulSet(s *appsv1.StatefulSet) workload {
	w := workload{
		observed: s.Status.ObservedGeneration >= s.Generation,
		want:     1,
		updated:  s.Status.UpdatedReplicas,
		ready:    min(s.Status.ReadyReplicas, s.Status.AvailableReplicas),
		present:  s.Status.Replicas,
	}
	if s.Spec.Replicas != nil {
		w.want = *s.Spec.Replicas
	}
	rolling := s.Spec.UpdateStrategy.RollingUpdate
	w.checksUpdated = s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType &&
		(rolling == nil || rolling.Partition == nil || *rolling.Partition == 0)
	return w
}

// snapshot is the state of a deployment at one moment.
type snapshot struct {
	workload workload
	pods     []corev1.Pod
	events   []corev1.Event // warnings about the workload, its pods and its claims
}

func (s snapshot) ready() bool {
	w := s.workload
	if !w.observed || w.present != w.want || w.ready != w.want || w.checksUpdated && w.updated != w.want {
		return false
	}
	return len(live(s.pods, isReady)) == int(w.want) && len(unfinished(s.pods)) == int(w.want)
}

func (s snapshot) String() string {
	text := fmt.Sprintf("%d of %d ready; %s", s.workload.ready, s.workload.want, summarise(s.pods))
	if s.ready() || len(s.events) == 0 {
		return text
	}
	newest := slices.MaxFunc(s.events, func(a, b corev1.Event) int {
		return cmp.Compare(cluster.LastSeen(a).UnixNano(), cluster.LastSeen(b).UnixNano())
	})
	return text + "; " + eventLine(newest)
}

// problem is a state that does not mend by itself.
type problem struct {
	key            string // identifies it over several snapshots
	text           string
	pod, container string        // whose log has more, if any
	storage        bool          // a volume is lacking, which the driver makes and mounts
	hold           time.Duration // how long it has to persist to be believed
}

const (
	shortHold = 5 * time.Second
	// The kubelet learns of a driver when its registrar restarts, and a class may be made by the
	// same person a moment later.
	longHold = 15 * time.Second
	// Space may be freed, a claim be bound, a mount be tried again.
	patientHold = time.Minute
	maxRestarts = 2
)

var holds = map[string]time.Duration{
	"ErrImagePull":               shortHold,
	"ImagePullBackOff":           shortHold,
	"InvalidImageName":           shortHold,
	"ErrImageNeverPull":          shortHold,
	"CreateContainerConfigError": shortHold,
	"CreateContainerError":       longHold,
}

// persisting remembers since when problems are there, by their keys.
type persisting map[string]time.Time

// check returns the first problem that has persisted for its hold, stretched by
// scale, and what to remember for the next time.
func (p persisting) check(problems []problem, now time.Time, scale float64) (persisting, error) {
	present := persisting{}
	for _, t := range problems {
		since, ok := p[t.key]
		if !ok {
			since = now
		}
		present[t.key] = since
		if now.Sub(since) >= time.Duration(float64(t.hold)*scale) {
			return present, wait.Stop(errors.New(t.text))
		}
	}
	return present, nil
}

// baseline is what was seen when the deployment was last Ready; what happened before is not held
// against it.
type baseline struct {
	restarts map[string]int32 // by pod UID and container
	events   map[types.UID]int32
}

func (s snapshot) baseline() baseline {
	b := baseline{restarts: map[string]int32{}, events: map[types.UID]int32{}}
	for _, pod := range s.pods {
		for _, c := range statuses(pod) {
			b.restarts[restartKey(pod, c.Name)] = c.RestartCount
		}
	}
	for _, e := range s.events {
		b.events[e.UID] = count(e)
	}
	return b
}

func restartKey(pod corev1.Pod, container string) string { return string(pod.UID) + "/" + container }

// problems returns what, if it persists, keeps the deployment from becoming ready.
func (s snapshot) problems(since baseline) []problem {
	var found []problem
	for _, pod := range s.pods {
		if pod.DeletionTimestamp == nil {
			found = append(found, podProblems(pod, since)...)
		}
	}
	for _, e := range s.events {
		if seen, ok := since.events[e.UID]; ok && count(e) <= seen {
			continue
		}
		if t, ok := s.eventProblem(e); ok {
			found = append(found, t)
		}
	}
	return found
}

func podProblems(pod corev1.Pod, since baseline) []problem {
	var found []problem
	if c := condition(pod, corev1.PodScheduled); c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
		found = append(found, problem{
			key: "unschedulable " + string(pod.UID), pod: pod.Name, hold: patientHold,
			text:    fmt.Sprintf("pod %s cannot be scheduled: %s", pod.Name, c.Message),
			storage: strings.Contains(c.Message, "free storage"),
		})
	}
	for _, c := range statuses(pod) {
		t := problem{pod: pod.Name, container: c.Name}
		waiting := c.State.Waiting
		restarts := c.RestartCount - since.restarts[restartKey(pod, c.Name)]
		switch {
		case waiting != nil && holds[waiting.Reason] > 0:
			// An image that cannot be pulled changes between two reasons.
			t.key = "waiting " + strings.NewReplacer("ErrImagePull", "image", "ImagePullBackOff", "image").Replace(waiting.Reason)
			t.hold = holds[waiting.Reason]
			t.text = fmt.Sprintf("container %s of pod %s cannot start: %s: %s", c.Name, pod.Name, waiting.Reason, waiting.Message)
		case restarts >= maxRestarts && crashed(c):
			t.key = "crash"
			t.text = fmt.Sprintf("container %s of pod %s has ended %d times: %s", c.Name, pod.Name, restarts, containerState(c))
		default:
			continue
		}
		t.key += " " + restartKey(pod, c.Name)
		found = append(found, t)
	}
	return found
}

func crashed(c corev1.ContainerStatus) bool {
	if c.State.Waiting != nil {
		return c.State.Waiting.Reason == "CrashLoopBackOff"
	}
	return c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
}

var (
	driverMissing = regexp.MustCompile(`driver name \S+ not found in the list of registered CSI drivers`)
	classMissing  = regexp.MustCompile(`storageclass(\.storage\.k8s\.io)? "[^"]*" not found`)
	refused       = regexp.MustCompile(`violates PodSecurity|admission webhook .* denied the request|AdmissionPolicy .* denied request|denied by |unable to validate against|is invalid: `)
	// beyond is about a limit on all pods of the namespace, which others may leave again.
	beyond = regexp.MustCompile(`exceeded quota|failed quota`)
)

// Refused reports whether a message of the API server or a controller is about an object that was not admitted:
// by the Pod Security Standards, a webhook such as Kyverno's or Gatekeeper's, a policy of the API
// server, or the security context constraints of OpenShift.
func Refused(message string) bool { return refused.MatchString(message) }

func (s snapshot) eventProblem(e corev1.Event) (problem, bool) {
	t := problem{key: "event " + string(e.UID), text: eventLine(e), hold: longHold}
	switch {
	case e.Reason == "FailedMount" && driverMissing.MatchString(e.Message):
		t.storage = true
		return t, s.podWaits(e.InvolvedObject.Name)
	case e.Reason == "FailedMount" || e.Reason == "FailedAttachVolume":
		t.hold, t.storage = patientHold, true
		return t, s.podWaits(e.InvolvedObject.Name)
	case e.Reason == "ProvisioningFailed" && classMissing.MatchString(e.Message):
		return t, len(live(s.pods, isReady)) < int(s.workload.want)
	case e.Reason == "FailedCreate":
		switch {
		case refused.MatchString(e.Message):
			t.hold = shortHold
		case beyond.MatchString(e.Message):
			t.hold = patientHold
		case !strings.Contains(e.Message, "is forbidden: "): // a class, an account or a limit otherwise
			return problem{}, false
		}
		return t, len(unfinished(s.pods)) < int(s.workload.want)
	}
	return problem{}, false
}

// podWaits reports whether a pod has not come as far as to start containers.
func (s snapshot) podWaits(name string) bool {
	for _, pod := range s.pods {
		if pod.Name == name {
			return pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil &&
				condition(pod, corev1.PodReadyToStartContainers).Status != corev1.ConditionTrue
		}
	}
	return false
}

func condition(pod corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

func statuses(pod corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

func isReady(pod corev1.Pod) bool { return podutils.IsPodReady(&pod) }

// live returns the pods for which keep holds and which are not being deleted.
func live(pods []corev1.Pod, keep func(corev1.Pod) bool) []corev1.Pod {
	var kept []corev1.Pod
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && keep(pod) {
			kept = append(kept, pod)
		}
	}
	return kept
}

// unfinished leaves out pods that an eviction or node shutdown left behind.
func unfinished(pods []corev1.Pod) []corev1.Pod {
	var kept []corev1.Pod
	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
			kept = append(kept, pod)
		}
	}
	return kept
}

// summarise describes pods in one line.
func summarise(pods []corev1.Pod) string {
	if len(pods) == 0 {
		return "no pods"
	}
	lines := make([]string, 0, len(pods))
	for _, pod := range pods {
		text := "pod " + pod.Name + " " + string(pod.Status.Phase)
		switch {
		case pod.DeletionTimestamp != nil:
			text += ", being deleted"
		case isReady(pod):
			text += ", Ready"
		}
		for _, c := range statuses(pod) {
			if !c.Ready && (c.State.Waiting == nil || c.State.Waiting.Reason != "PodInitializing") {
				text += fmt.Sprintf(", container %s %s", c.Name, containerState(c))
			}
		}
		lines = append(lines, text)
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func containerState(c corev1.ContainerStatus) string {
	text := "not started"
	switch {
	case c.State.Waiting != nil:
		text = "waiting: " + c.State.Waiting.Reason
	case c.State.Terminated != nil:
		text = "terminated: " + ending(c.State.Terminated)
	case c.State.Running != nil:
		text = "running, not ready"
		if c.Ready {
			text = "running"
		}
	}
	if last := c.LastTerminationState.Terminated; last != nil {
		text += ", before: " + ending(last)
	}
	if c.RestartCount > 0 {
		text += fmt.Sprintf(", %d restarts", c.RestartCount)
	}
	return text
}

func ending(t *corev1.ContainerStateTerminated) string {
	if t.Signal != 0 {
		return fmt.Sprintf("%s, signal %d", t.Reason, t.Signal)
	}
	return fmt.Sprintf("%s, exit code %d", t.Reason, t.ExitCode)
}

func eventLine(e corev1.Event) string {
	return fmt.Sprintf("%s of %s %s: %s", e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, oneline.Words(e.Message))
}

func count(e corev1.Event) int32 {
	if e.Series != nil {
		return max(e.Count, e.Series.Count)
	}
	return e.Count
}
