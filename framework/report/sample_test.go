package report

import (
	"path/filepath"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// catalogue is small, and has each level, profile and kind of coverage.
func catalogue() spec.Catalogue {
	persistent, ephemeral := []spec.Profile{spec.Persistent}, []spec.Profile{spec.Ephemeral}
	return spec.Catalogue{
		Requirements: []spec.Requirement{
			{ID: "EPH-01", Chapter: "Ephemeral", Level: spec.Must, Profiles: ephemeral, Text: "The volume lives as long as the pod.", Source: "documentation"},
			{ID: "RST-01", Chapter: "Restart", Level: spec.Must, Profiles: persistent, Text: "A key survives a restart.", Source: "documentation", Versions: ">= 1.5.18"},
			{ID: "RST-02", Chapter: "Restart", Level: spec.Must, Profiles: persistent, Text: "A counter survives a restart.", Source: "documentation"},
			{ID: "RST-03", Chapter: "Restart", Level: spec.Should, Profiles: persistent, Text: "A restart is quick.", Source: "measured"},
			{ID: "DRV-01", Chapter: "Driver", Level: spec.Must, Profiles: []spec.Profile{spec.Driver}, Text: "Capacity is published.", Source: "experience"},
			{ID: "OPS-01", Chapter: "Surroundings", Level: spec.Fact, Profiles: persistent, Text: "The sun rises.", Source: "experience", Uncovered: "nobody can change it"},
		},
		Specs: []spec.Spec{
			{ID: "DRV-01", Title: "capacity is published", Covers: []spec.ReqID{"DRV-01"}, Level: spec.Must, Profile: spec.Driver},
			{ID: "EPH-01", Title: "the volume goes with the pod", Covers: []spec.ReqID{"EPH-01"}, Level: spec.Must, Profile: spec.Ephemeral},
			{ID: "RST-01", Title: "keys and counters survive", Covers: []spec.ReqID{"RST-01", "RST-02"}, Level: spec.Must, Profile: spec.Persistent},
			{ID: "RST-02", Title: "a restart is quick", Covers: []spec.ReqID{"RST-03"}, Level: spec.Should, Profile: spec.Persistent},
			{ID: "RST-03", Title: "a key survives, and quickly", Covers: []spec.ReqID{"RST-01", "RST-03"}, Level: spec.Must, Profile: spec.Persistent},
		},
	}
}

// planned is what becomes of the specs of the catalogue; nothing in outcomes
// means that a spec is to run.
func planned(outcomes map[string]spec.Outcome) []spec.Planned {
	var plan []spec.Planned
	for _, s := range catalogue().Specs {
		p := spec.Planned{Spec: s, Outcome: outcomes[s.ID]}
		if p.Outcome != "" {
			p.Why = "as the test wants it"
		}
		plan = append(plan, p)
	}
	return plan
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// passing is the result of a spec of the catalogue that found nothing wrong.
func passing(id string) SpecResult {
	for _, s := range catalogue().Specs {
		if s.ID == id {
			return SpecResult{ID: id, Title: s.Title, Level: s.Level, Profile: s.Profile, Covers: s.Covers, Outcome: spec.Passed,
				Examined: s.Covers, Complete: true, Attempts: 1, Started: at(10), Took: 2 * time.Second}
		}
	}
	panic("no such spec: " + id)
}

// violating is that of a spec which found reqs violated and then went on.
func violating(id string, reqs ...spec.ReqID) SpecResult {
	s := passing(id)
	s.Outcome, s.Reason = spec.Failed, string(reqs[0])+" is not met"
	for _, req := range reqs {
		s.Failures = append(s.Failures, Failure{Requirement: req, Check: "it is met", Expected: "1", Observed: "0", Object: "pod default/cache-0"})
	}
	return s
}

func undetermined(id string) SpecResult {
	s := passing(id)
	s.Outcome, s.Reason, s.Complete, s.Examined = spec.Undetermined, "could not reach the pod", false, nil
	s.Failures = []Failure{{Check: "could not reach the pod"}}
	return s
}

func leaking(id string) SpecResult {
	s := passing(id)
	s.Outcome, s.Reason = spec.Leaked, "left behind: pv"
	s.Leaks = []Leak{volume}
	return s
}

// violatedThenStopped is that of a spec which ended at the violation.
func violatedThenStopped(id string, req spec.ReqID) SpecResult {
	s := violating(id, req)
	s.Complete, s.Examined = false, []spec.ReqID{req}
	return s
}

var volume = Leak{View: "node", Where: "node-1", What: "logical volume pvc-1", Detail: "32 MiB"}

func accepted(id string, req spec.ReqID) KnownFailure {
	return KnownFailure{Spec: id, Requirement: req, Link: "https://example.org/issues/17", Expires: "2026-06-30", Reason: "blocks are reserved"}
}

// eventful is a run in which much happens, reported as a suite reports it.
func eventful() *Recorder {
	r := NewRecorder(Run{
		ID: "20260102T030405Z-x7k2p", Version: "0123456789ab", Started: start, Command: "make e2e LABELS='MUST || SHOULD'", Provider: "existing",
		Host: "https://127.0.0.1:6443", Seed: 7, WaitScale: "2,pod-runs=3", Deployments: map[string]string{"ephemeral": "manifests/ephemeral", "persistent": "manifests/persistent"},
	}, catalogue())
	r.Plan(planned(map[string]spec.Outcome{"DRV-01": spec.NotApplicable}))
	r.Facts([]Fact{{Group: "cluster", Name: "version", Value: "v1.37.2", Evidence: "GET /version"}})
	r.Preflight([]Check{{Name: "rights", State: CheckPassed, Saw: "all 12 are granted", Took: 1500 * time.Millisecond},
		{Name: "images", State: CheckUnknown, Saw: "no pod could be made", Remedy: "look at the events of the namespace", Took: time.Minute}})
	r.Known([]KnownFailure{accepted("RST-03", "RST-01"), accepted("RST-01", "RST-02")})
	record := func(second int, e Event) {
		e.Time = at(second)
		r.Record(e)
	}
	waited := func(what string, took time.Duration) *wait.Record {
		return &wait.Record{Name: wait.DeploymentReady, What: what, Took: took, Limit: 3 * time.Minute, Done: true, Last: "1 of 1 Ready"}
	}
	record(1, Event{Kind: SuiteStarted, Text: "7"})
	record(2, Event{Kind: WaitEnded, Wait: waited("the driver", 1250*time.Millisecond)})
	record(3, Event{Kind: SpecStarted, Spec: "EPH-01"})
	record(4, Event{Kind: FactFound, Spec: "EPH-01", Fact: &Fact{Group: "memcached", Name: "version", Value: "1.6.38", Evidence: "stats"}})
	passed := passing("EPH-01")
	passed.Steps, passed.Waits = []string{"deploy manifests/ephemeral"}, []wait.Record{*waited("Deployment e2e/cache", 4*time.Second)}
	passed.Work = &Work{Execs: 3, Questions: 40, Pods: 1, Requests: map[string]int{"get": 20, "connect": 5, "list": 20}}
	passed.Notes = []Note{{Name: "mount", Text: "dax=always\n\tnoatime"}}
	record(6, Event{Kind: SpecEnded, Spec: "EPH-01", Result: &passed})
	record(7, Event{Kind: SpecStarted, Spec: "RST-01"})
	failed := violatedThenStopped("RST-01", "RST-01")
	failed.Failures[0].Observed, failed.Evidence, failed.Again = "  0 of 1000\nERROR: \"no such key\"", "evidence/RST-01", "make e2e FOCUS=RST-01"
	failed.Leaks = []Leak{volume}
	record(9, Event{Kind: SpecEnded, Spec: "RST-01", Result: &failed})
	record(10, Event{Kind: SpecStarted, Spec: "RST-02"})
	record(11, Event{Kind: Measured, Spec: "RST-02", Benchmark: &Benchmark{Name: "get", Spec: "RST-02", Profile: spec.Persistent, Setting: "4 connections",
		Operations: 12345, Elapsed: 10 * time.Second, Latencies: []LatencyOfRequest{{Request: "get", Count: 12345,
			Percentiles: []Percentile{{Percent: 50, Latency: 120 * time.Microsecond}, {Percent: 99, Latency: time.Millisecond}, {Percent: 99.9, Latency: 3 * time.Millisecond}}}}}})
	flaky := passing("RST-02")
	flaky.Attempts = 2
	record(12, Event{Kind: SpecEnded, Spec: "RST-02", Result: &flaky})
	record(13, Event{Kind: SpecStarted, Spec: "RST-03"})
	record(14, Event{Kind: StepStarted, Spec: "RST-03", Text: "restart the pod"})
	record(15, Event{Kind: WaitStarted, Spec: "RST-03", Wait: &wait.Record{Name: wait.PodRuns, What: "pod e2e/cache-0 to run", Limit: 2 * time.Minute}})
	record(15, Event{Kind: WorkDone, Work: &Work{Execs: 5, Questions: 50, Pods: 2, Requests: map[string]int{"get": 30}}})
	record(15, Event{Kind: WorkDone, Work: &Work{Execs: 1, Pods: 1, Requests: map[string]int{"get": 7, "watch": 1}}})
	record(16, Event{Kind: LeakFound, Leak: &Leak{View: "api", Where: "cluster", What: "PersistentVolume pvc-2", Detail: "Released"}})
	return r
}

func eventfulDocument() Document {
	return eventful().Finish(at(60), []File{{Path: "evidence/RST-01/pod.yaml", Size: 6, SHA256: digest([]byte("a pod\n"))}})
}

// stored writes d with the evidence of eventfulDocument and returns the path
// of the report.
func stored(t *testing.T, d Document) string {
	t.Helper()
	data, err := Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := WriteFiles(dir, map[string][]byte{"report.yaml": data}); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(filepath.Join(dir, "evidence", "RST-01"), map[string][]byte{"pod.yaml": []byte("a pod\n")}); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "report.yaml")
}
