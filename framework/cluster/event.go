package cluster

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// LastSeen returns the latest time that an event carries. Which field
// that is depends on the API version that the event was reported by.
func LastSeen(e corev1.Event) time.Time {
	latest := e.CreationTimestamp.Time
	for _, t := range []time.Time{e.FirstTimestamp.Time, e.LastTimestamp.Time, e.EventTime.Time} {
		if t.After(latest) {
			latest = t
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.Time.After(latest) {
		latest = e.Series.LastObservedTime.Time
	}
	return latest
}
