package render

import (
	"fmt"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

func TestSlowest(t *testing.T) {
	var doc report.Document
	for n := range slowestSpecs + 2 {
		doc.Specs = append(doc.Specs, report.SpecResult{ID: fmt.Sprint("AAA-", n), Outcome: spec.Passed, Attempts: 1, Took: time.Duration(n) * time.Second})
	}
	doc.Specs = append(doc.Specs, report.SpecResult{ID: "not run", Took: time.Hour})
	waited := func(name wait.Name, s int) wait.Record {
		return wait.Record{Name: name, Took: time.Duration(s) * time.Second}
	}
	doc.Specs[11].Waits = []wait.Record{waited(wait.PodGone, 1), waited(wait.Downtime, 2), waited(wait.PodRuns, 3), waited(wait.Downtime, 2),
		waited(wait.ClaimBound, 1), waited(wait.PodEnds, 1)}

	got := slowest(doc)
	if len(got) != slowestSpecs || got[0].ID != "AAA-11" || got[9].ID != "AAA-2" {
		t.Fatalf("got %+v, want AAA-11 to AAA-2", got)
	}
	if got[0].Waited != 10*time.Second || got[0].For != "downtime 4.0 s (2), pod-runs 3.0 s, pod-gone 1.0 s, claim-bound 1.0 s, …" {
		t.Errorf("the slowest waited %s for %q", got[0].Waited, got[0].For)
	}
	if got[1].Waited != 0 || got[1].For != "" {
		t.Errorf("one that never waited: %+v", got[1])
	}
}
