package run

import (
	"errors"
	"maps"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

type steps []map[string]time.Duration

func (s *steps) Read() map[string]time.Duration {
	now := maps.Clone((*s)[0])
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return now
}

// TestUsage runs a spec on its own, two next to each other, and one on its own again.
func TestUsage(t *testing.T) {
	second := func(n int) map[string]time.Duration {
		return map[string]time.Duration{"node1": time.Duration(n) * time.Second}
	}
	u := &usage{meter: &steps{second(1), second(4), second(10), second(20), second(27)}, running: map[string]map[string]time.Duration{}}
	u.began("RST-01")
	if got := u.ended("RST-01"); !maps.Equal(got, second(3)) {
		t.Errorf("on its own: %v", got)
	}
	u.began("RST-07")
	u.began("RST-08")
	if got := u.ended("RST-07"); got != nil {
		t.Errorf("next to another: %v", got)
	}
	u.began("RST-09")
	for _, id := range []string{"RST-08", "RST-09", "RST-10"} {
		if got := u.ended(id); got != nil {
			t.Errorf("%s: %v", id, got)
		}
	}
	u.began("RST-14")
	if got := u.ended("RST-14"); !maps.Equal(got, second(7)) {
		t.Errorf("on its own again: %v", got)
	}
}

func TestMetered(t *testing.T) {
	failed := errors.New("specs")
	r := &Runner{recorder: report.NewRecorder(report.Run{}, spec.Catalogue{})}
	m := &steps{{"etcd": 2 * time.Second, "node1": 40 * time.Second}, {"etcd": 2 * time.Second, "node1": 90 * time.Second, "node2": time.Second}}
	if err := r.metered(m, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("metered returned %v", err)
	}
	var got map[string]time.Duration
	r.recorder.Run(func(run *report.Run) { got = run.Processor })
	if want := map[string]time.Duration{"node1": 50 * time.Second, "node2": time.Second}; !maps.Equal(got, want) {
		t.Errorf("processor time %v, want %v", got, want)
	}
	if err := r.metered(nil, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("without a meter: %v", err)
	}
}
