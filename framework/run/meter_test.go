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
