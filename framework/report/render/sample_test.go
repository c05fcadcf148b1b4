package render

import (
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }

// hostile would break a page, a table or a document that does not quote.
const hostile = "<script>alert(1)</script> a|b `c` *d* ]]> & \"e\""

func catalogue() spec.Catalogue {
	restart, inline := []spec.Profile{spec.Persistent}, []spec.Profile{spec.Ephemeral}
	return spec.Catalogue{
		Requirements: []spec.Requirement{
			{ID: "EPH-01", Chapter: "Deployment with an inline volume", Level: spec.Must, Profiles: inline, Text: "The volume lives as long as the pod.", Source: "documentation"},
			{ID: "EPH-02", Chapter: "Deployment with an inline volume", Level: spec.Must, Profiles: inline, Text: "Not looked at: " + hostile, Source: "documentation", Uncovered: "it needs two nodes"},
			{ID: "RST-01", Chapter: "Warm restart", Level: spec.Must, Profiles: restart, Text: "A key survives a restart.", Source: "documentation", Versions: ">= 1.5.18"},
			{ID: "RST-02", Chapter: "Warm restart", Level: spec.Must, Profiles: restart, Text: "A counter survives a restart.", Source: "documentation"},
			{ID: "RST-03", Chapter: "Warm restart", Level: spec.Should, Profiles: restart, Text: "A restart is quick.", Source: "measured"},
			{ID: "DRV-01", Chapter: "Driver", Level: spec.Must, Profiles: []spec.Profile{spec.Driver}, Text: "Capacity is published.", Source: "experience"},
			{ID: "OPS-01", Chapter: "Surroundings", Level: spec.Fact, Profiles: restart, Text: "Pages of a volume are zeroed once.", Source: "experience", Uncovered: "nobody can change it"},
		},
		Specs: []spec.Spec{
			{ID: "DRV-01", Title: "capacity is published", Covers: []spec.ReqID{"DRV-01"}, Level: spec.Must, Profile: spec.Driver},
			{ID: "EPH-01", Title: "the volume goes with the pod", Covers: []spec.ReqID{"EPH-01"}, Level: spec.Must, Profile: spec.Ephemeral},
			{ID: "RST-01", Title: "keys and counters survive", Covers: []spec.ReqID{"RST-01", "RST-02"}, Level: spec.Must, Profile: spec.Persistent},
			{ID: "RST-02", Title: "a restart is quick", Covers: []spec.ReqID{"RST-03"}, Level: spec.Should, Profile: spec.Persistent},
		},
	}
}

// sample is a run whose suite has begun; plan says what does not run.
func sample(plan map[string]spec.Outcome) *report.Recorder {
	r := report.NewRecorder(report.Run{
		ID: "20260102T030405Z-x7k2p", Version: "0123456789ab", Started: began, Command: "make e2e", Provider: "lab",
		Host: "https://127.0.0.1:6443", Seed: 7, WaitScale: "1",
		Deployments: map[string]string{"ephemeral": "manifests/ephemeral", "persistent": "manifests/persistent"},
	}, catalogue())
	var planned []spec.Planned
	for _, s := range catalogue().Specs {
		p := spec.Planned{Spec: s, Outcome: plan[s.ID]}
		if p.Outcome != "" {
			p.Why = "the cluster lacks two nodes"
		}
		planned = append(planned, p)
	}
	r.Plan(planned)
	r.Mutation(&spec.Proof{Killed: 4, Mutants: 5, Accepted: 2, Equivalents: 2, Pairs: []spec.PairProof{
		{Requirement: "EPH-01", Profile: spec.Ephemeral, Killed: 2, Mutants: 2, Specs: []string{"EPH-01"}},
		{Requirement: "RST-01", Profile: spec.Persistent, Killed: 2, Mutants: 3, Specs: []string{"RST-01"}},
		{Requirement: "RST-02", Profile: spec.Persistent},
		{Requirement: "DRV-01", Profile: spec.Driver, Exempt: "nobody can"},
	}})
	r.Facts([]report.Fact{
		{Group: "cluster", Name: "version", Value: "v1.37.2", Evidence: "GET /version"},
		{Group: "node worker", Name: "kernel", Value: "6.1.0", Evidence: "status.nodeInfo of the Node"},
		{Group: "node worker", Name: "PMEM is emulated", Value: "yes, by memmap", Evidence: "/proc/cmdline"},
	})
	r.Preflight([]report.Check{
		{Name: "api", State: report.CheckPassed, Saw: "v1.37.2", Took: 20 * time.Millisecond},
		{Name: "images", State: report.CheckUnknown, Saw: "no pod could be made", Remedy: "look at the events of the namespace", Took: time.Minute},
	})
	tell(r, 1, report.Event{Kind: report.SuiteStarted, Text: "7"})
	tell(r, 2, report.Event{Kind: report.WaitEnded, Wait: awaited("the driver", true)})
	return r
}

func tell(r *report.Recorder, second int, e report.Event) {
	e.Time = at(second)
	r.Record(e)
}

func awaited(what string, done bool) *wait.Record {
	w := &wait.Record{Name: wait.DeploymentReady, What: what, Took: 8 * time.Second, Limit: 3 * time.Minute, Done: done, Last: "1 of 1 Ready"}
	if !done {
		w.Took, w.Last = w.Limit, "0 of 1 Ready: "+hostile
	}
	return w
}

func passed(id string) report.SpecResult {
	r := report.SpecResult{ID: id, Outcome: spec.Passed, Complete: true, Attempts: 1, Started: at(10), Took: 2 * time.Second,
		Work:      &report.Work{Execs: 3, Questions: 40, Pods: 1, Requests: map[string]int{"get": 20, "connect": 5, "list": 20}},
		Processor: map[string]time.Duration{"kube-apiserver": 1500 * time.Millisecond, "node1": 20 * time.Second},
		Waits:     []wait.Record{*awaited("Deployment e2e/cache to be ready", true)}, Notes: []report.Note{{Name: "mount", Text: "dax=always"}, {Name: "load", Text: "1739 requests/s\nhits 1316, misses 0", Table: &report.Table{
			Head: []string{"request", "count", "p50", "p99"}, Rows: [][]string{{"get" + hostile, "1316", "7.159ms", "37.311ms"}, {"set", "423", "6.971ms", "35.967ms"}}}}}}
	for _, s := range catalogue().Specs {
		if s.ID == id {
			r.Title, r.Level, r.Profile, r.Covers, r.Examined = s.Title, s.Level, s.Profile, s.Covers, s.Covers
		}
	}
	return r
}

func end(r *report.Recorder, second int, result report.SpecResult) {
	tell(r, second, report.Event{Kind: report.SpecStarted, Spec: result.ID})
	tell(r, second+1, report.Event{Kind: report.SpecEnded, Spec: result.ID, Result: &result})
}

func passing() report.Document {
	r := sample(nil)
	for i, s := range catalogue().Specs {
		end(r, 10+10*i, passed(s.ID))
	}
	for i, name := range []string{"ephemeral", "persistent"} {
		percentiles := []report.Percentile{{Percent: 50, Latency: 180 * time.Microsecond}, {Percent: 99, Latency: 2 * time.Millisecond},
			{Percent: 99.9, Latency: 9 * time.Millisecond}, {Percent: 100, Latency: 31 * time.Millisecond}}
		tell(r, 55, report.Event{Kind: report.Measured, Benchmark: &report.Benchmark{
			Name: name, Spec: "RST-02", Profile: spec.Persistent, Setting: "4 connections, 9 gets a set, values of 100 bytes",
			Operations: int64(120000 + 30000*i), Elapsed: 10 * time.Second,
			Latencies: []report.LatencyOfRequest{{Request: "get", Count: 108000, Percentiles: percentiles}},
		}})
	}
	tell(r, 59, report.Event{Kind: report.WorkDone, Work: &report.Work{Execs: 9, Questions: 120, Pods: 3, Requests: map[string]int{"get": 80, "connect": 15, "watch": 6}}})
	r.Run(func(run *report.Run) {
		run.Processor = map[string]time.Duration{"node1": 1400 * time.Second, "kube-apiserver": 95500 * time.Millisecond}
	})
	tell(r, 60, report.Event{Kind: report.SuiteEnded})
	return r.Finish(at(61), nil)
}

// selection is a run of two specs that both passed.
func selection() report.Document {
	r := sample(map[string]spec.Outcome{"DRV-01": spec.Skipped, "EPH-01": spec.Skipped})
	r.Run(func(run *report.Run) { run.Selection = `FOCUS="RST-0[12]"` })
	end(r, 10, passed("RST-01"))
	end(r, 20, passed("RST-02"))
	tell(r, 50, report.Event{Kind: report.SuiteEnded})
	return r.Finish(at(60), nil)
}

func failing() report.Document {
	r := sample(map[string]spec.Outcome{"DRV-01": spec.NotApplicable})
	met := report.KnownFailure{Spec: "EPH-01", Requirement: "EPH-01", Link: "https://example.org/issues/17", Expires: "2026-06-30", Reason: hostile}
	unmet := report.KnownFailure{Spec: "RST-02", Requirement: "RST-03", Link: "https://example.org/issues/18", Expires: "2026-06-30", Reason: "slow disk"}
	r.Known([]report.KnownFailure{met, unmet})
	known := passed("EPH-01")
	known.Outcome, known.Reason = spec.Failed, ""
	known.Failures = []report.Failure{{Requirement: "EPH-01", Check: "the volume is gone", Expected: "none", Observed: "csi-1", Object: "node worker"}}
	end(r, 10, known)
	failed := passed("RST-01")
	failed.Outcome, failed.Reason, failed.Complete, failed.Examined = spec.Failed, "", false, []spec.ReqID{"RST-01"}
	failed.Failures = []report.Failure{{Requirement: "RST-01", Check: "every key has its value", Expected: "1000 keys", Observed: "  0 keys\n" + hostile, Object: "pod e2e-rst-01/cache-0"}}
	failed.Leaks = []report.Leak{{View: "node", Where: "worker", What: "logical volume pvc-1", Detail: "32 MiB"}}
	failed.Waits = append(failed.Waits, *awaited("Pod e2e-rst-01/cache-0 to be ready", false))
	failed.Steps, failed.Evidence, failed.Again = []string{"deploy manifests/persistent", "restart the pod"}, "evidence/RST-01", "make e2e FOCUS=RST-01"
	end(r, 20, failed)
	flaky := passed("RST-02")
	flaky.Attempts = 2
	end(r, 40, flaky)
	tell(r, 50, report.Event{Kind: report.LeakFound, Leak: &report.Leak{View: "api", Where: "cluster", What: "PersistentVolume pvc-2", Detail: "Released"}})
	tell(r, 51, report.Event{Kind: report.SuiteEnded})
	return r.Finish(at(60), []report.File{{Path: "evidence/RST-01/index.txt", Size: 120, SHA256: "abcdef"}})
}

// undetermined is a run whose suite died.
func undetermined() report.Document {
	r := sample(map[string]spec.Outcome{"DRV-01": spec.Skipped})
	end(r, 10, passed("EPH-01"))
	tell(r, 20, report.Event{Kind: report.SpecStarted, Spec: "RST-01"})
	tell(r, 21, report.Event{Kind: report.StepStarted, Spec: "RST-01", Text: "restart the pod"})
	tell(r, 22, report.Event{Kind: report.WaitStarted, Spec: "RST-01", Wait: awaited("Pod e2e-rst-01/cache-0 to be ready", false)})
	r.AddError("BeforeSuite failed: " + hostile)
	return r.Finish(at(60), nil)
}
