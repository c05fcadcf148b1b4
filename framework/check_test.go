package framework

import (
	"errors"
	"testing"

	"github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

func TestCompare(t *testing.T) {
	tests := []struct {
		name               string
		observed           any
		want               gomegatypes.GomegaMatcher
		ok                 bool
		expected, seenText string
	}{
		{"equal", 1, gomega.Equal(1), true, "", ""},
		{"not equal", 64, gomega.Equal(121), false, "to equal 121", "64"},
		{"smaller", int64(3), gomega.BeNumerically(">=", 4), false, "to be >= 4", "3"},
		{"text", "ext2", gomega.BeElementOf("ext4", "xfs"), false, `to be an element of ["ext4", "xfs"]`, "ext2"},
		{"no error", nil, Succeed, true, "", ""},
		{"error", errors.New("crash loop"), Succeed, false, "no error", "crash loop"},
		{"list", []string{"a"}, gomega.BeEmpty(), false, "to be empty", "[a]"},
		{"false", false, gomega.BeTrue(), false, "to be true", "false"},
		{"matcher does not apply", 1, gomega.HavePrefix("x"), false, "HavePrefix matcher requires a string or stringer. Got: <int>: 1", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := compare(tt.observed, tt.want)
			if ok != tt.ok {
				t.Fatalf("matched: %v, want %v", ok, tt.ok)
			}
			if !ok && (f.Expected != tt.expected || f.Observed != tt.seenText) {
				t.Errorf("expected %q observed %q, want %q and %q", f.Expected, f.Observed, tt.expected, tt.seenText)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	c := config.Default("/src")
	c.ReportDir = "/src/report"
	dax := report.Failure{
		Requirement: "EPH-03", Check: "the memory file lies on PMEM", Object: "pod e2e/cache-0",
		Expected: "to be true", Observed: "tmpfs at /data\nmounted rw",
	}
	for name, failures := range map[string][]report.Failure{
		"one-failure.txt":  {dax},
		"two-failures.txt": {dax, {Check: "could not reach the pod", Observed: "EOF"}},
	} {
		e := &Env{Spec: spec.Spec{ID: "EPH-03"}, Config: c, failures: failures}
		golden.Check(t, name, e.message())
	}
}

// TestPresume makes sure that a spec which ends early has not examined a requirement whose precondition holds.
func TestPresume(t *testing.T) {
	e := &Env{Spec: spec.Spec{ID: "EPH-03", Covers: []spec.ReqID{"EPH-03", "EPH-08"}}, suite: &suite{}, examined: map[spec.ReqID]bool{}}
	e.Presume("EPH-03", "memcached runs with a memory file", "pod", "/data/file", gomega.Equal("/data/file"))
	e.Expect("EPH-08", "the process has mapped the memory file", "pod", "mapped", gomega.Equal("mapped"))
	if e.examined["EPH-03"] || !e.examined["EPH-08"] {
		t.Errorf("examined: %v, want EPH-08 only", e.examined)
	}
}
