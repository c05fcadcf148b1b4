package lab

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/wait"
)

// screen is an output that shows what happens.
type screen struct {
	bytes.Buffer
	what func() string
}

func (s *screen) Doing(what func() string) { s.what = what }

func TestDoingReportsWaits(t *testing.T) {
	l := testLab(t)
	s := &screen{}
	l.progress = s
	l.doing("lab node ready")
	if got := s.what(); got != "lab node ready" {
		t.Errorf("it shows %q", got)
	}
	err := l.wait.Until(t.Context(), wait.LabNode, "node1 to be Ready", func(context.Context) (bool, string, error) {
		if got, want := s.what(), "lab node ready · waiting 0s of 5m0s for node1 to be Ready"; got != want {
			t.Errorf("it shows %q, want %q", got, want)
		}
		return true, "", nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := s.what(); strings.Contains(got, "waiting") {
		t.Errorf("after the wait it shows %q", got)
	}
	l.doing("")
	if s.what != nil {
		t.Error("after the end it shows something")
	}
}
