package chart_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render/chart"
	"pmem-memcached-e2e/framework/spec"
)

func TestTimeline(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := report.Run{Started: began, Ended: began.Add(10 * time.Minute)}
	ran := func(id string, lane int, begin, took time.Duration, o spec.Outcome) report.SpecResult {
		return report.SpecResult{ID: id, Lane: lane, Started: began.Add(begin), Took: took, Outcome: o, Attempts: 1}
	}
	specs := []report.SpecResult{
		ran("B-02", 1, time.Minute, 2*time.Minute, spec.Passed),
		ran("A-02", 0, 3*time.Minute, 90*time.Second, spec.Failed),
		ran("A-01", 0, time.Minute, time.Minute, spec.Undetermined),
		{ID: "C-01", Outcome: spec.NotApplicable},
	}
	c, err := chart.Timeline(run, specs)
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, want := range []string{"set-up", "A-01", "A-02", "B-02", "end"} {
		i := strings.LastIndex(c.SVG, ">"+want+"<")
		if i < 0 {
			t.Errorf("no row %s", want)
		}
		if at >= 0 && i > at {
			t.Errorf("row %s is not below the one before it", want)
		}
		at = i
	}
	for _, want := range []string{"lane 1", "lane 2", "90 s", "120 s"} {
		if !strings.Contains(c.SVG, ">"+want+"<") {
			t.Errorf("no text %q", want)
		}
	}
	if strings.Contains(c.SVG, "C-01") {
		t.Error("a spec that did not run has a row")
	}
	var keys []string
	for _, k := range c.Keys {
		keys = append(keys, k.Name)
	}
	if want := []string{"passed", "failed", "undetermined or leaked", "the run itself"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if c, err := chart.Timeline(run, specs[3:]); c != nil || err != nil {
		t.Errorf("without specs that ran: %v, %v", c, err)
	}
	one, err := chart.Timeline(run, specs[1:3])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(one.SVG, "lane") {
		t.Error("specs that ran one after the other have lanes")
	}
}
