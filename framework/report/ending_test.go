package report

import (
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func TestEndingOutcome(t *testing.T) {
	must := Failure{Requirement: "RST-01", Check: "a key survives"}
	own := Failure{Check: "could not reach the pod"}
	tests := []struct {
		name   string
		ending Ending
		want   spec.Outcome
	}{
		{"nothing wrong", Ending{Complete: true}, spec.Passed},
		{"a requirement is violated", Ending{Complete: true, Failures: []Failure{must}}, spec.Failed},
		{"a requirement is violated and the body ended there", Ending{Failures: []Failure{must}}, spec.Failed},
		{"a violation, then the spec's own failure", Ending{Failures: []Failure{must, own}}, spec.Failed},
		{"the spec's own failure, then a violation", Ending{Complete: true, Failures: []Failure{own, must}}, spec.Failed},
		{"a violation and leaks", Ending{Complete: true, Failures: []Failure{must}, Leaks: 2}, spec.Failed},
		{"the spec's own failure", Ending{Failures: []Failure{own}}, spec.Undetermined},
		{"a requirement was not examined", Ending{Complete: true, Failures: []Failure{own}}, spec.Undetermined},
		{"the spec's own failure and leaks", Ending{Failures: []Failure{own}, Leaks: 1}, spec.Undetermined},
		{"the body did not come to its end", Ending{}, spec.Undetermined},
		{"no end and leaks", Ending{Leaks: 1}, spec.Undetermined},
		{"something left", Ending{Complete: true, Leaks: 1}, spec.Leaked},
		{"interrupted", Ending{Interrupted: true, Complete: true}, spec.Undetermined},
		{"interrupted after a violation", Ending{Interrupted: true, Failures: []Failure{must}}, spec.Undetermined},
		{"interrupted, and something left", Ending{Interrupted: true, Complete: true, Leaks: 1}, spec.Undetermined},
		{"the cluster is lost", Ending{ClusterLost: true, Complete: true}, spec.Undetermined},
		{"the cluster is lost, which looks like a violation", Ending{ClusterLost: true, Failures: []Failure{must}}, spec.Undetermined},
		{"panic", Ending{Panicked: true}, spec.Undetermined},
		{"panic after a violation", Ending{Panicked: true, Failures: []Failure{must}}, spec.Undetermined},
		{"set-up failed", Ending{SetUpFailed: true, Failures: []Failure{own}}, spec.Undetermined},
		{"set-up failed on a requirement", Ending{SetUpFailed: true, Failures: []Failure{must}}, spec.Undetermined},
		{"the zero value", Ending{}, spec.Undetermined},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.ending.Outcome(); got != tt.want {
				t.Errorf("Outcome() = %q, want %q", got, tt.want)
			}
		})
	}
}
