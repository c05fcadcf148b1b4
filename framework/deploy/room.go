package deploy

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// noRoom says why there is no room for all replicas while there is for some; empty if that is not what keeps the others
// from running. How many replicas there are is the decision of who examines the deployment, and whether they fit
// that of the cluster.
func (s snapshot) noRoom(since baseline, oneNode bool) string {
	if len(live(s.pods, isReady)) == 0 {
		return ""
	}
	for _, pod := range live(s.pods, func(p corev1.Pod) bool { return !isReady(p) }) {
		c := condition(pod, corev1.PodScheduled)
		if c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable && lacksRoom(c.Message, oneNode) {
			return "pod " + pod.Name + ": " + c.Message
		}
	}
	for _, e := range s.events {
		seen := since.events[e.UID]
		if e.Reason == "FailedCreate" && count(e) > seen && exceeded.MatchString(e.Message) && len(unfinished(s.pods)) < int(s.workload.want) {
			return eventLine(e)
		}
	}
	return ""
}

var (
	// exceeded is about a quota of the namespace that is used up, unlike one that wants pods to state what they need.
	exceeded = regexp.MustCompile(`exceeded quota`)
	// full are the reasons of the scheduler for a node whose room is taken.
	full = regexp.MustCompile(`Insufficient |enough free storage|Too many pods`)
	// inTheWay are the reasons of the scheduler for a node on which a pod of the deployment keeps others away.
	inTheWay = regexp.MustCompile(`free ports|anti-affinity`)
)

// lacksRoom reports whether the scheduler's message says that nodes are full. With oneNode the node is not the scheduler's
// choice alone, so that a node that is refused for another reason may have had one next to it.
func lacksRoom(message string, oneNode bool) bool {
	reasons, _, _ := strings.Cut(message, " preemption:")
	if oneNode && strings.Contains(reasons, "pod affinity rules") {
		return true
	}
	return full.MatchString(reasons) && !inTheWay.MatchString(reasons)
}
