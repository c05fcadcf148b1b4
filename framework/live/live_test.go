package live

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// pass lets the time of a synctest bubble go on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// visible spells out what a terminal would obey.
func visible(text string) string {
	return strings.NewReplacer("\x1b", "␛", "\r", "␍").Replace(text)
}

var plan = []spec.Planned{
	{Spec: spec.Spec{ID: "CAP-01", Title: "the node reports its free persistent memory", Level: spec.Should, Profile: spec.Driver},
		Outcome: spec.NotApplicable, Why: "the cluster lacks node-access: no node has a pod labelled app=pmem-csi"},
	{Spec: spec.Spec{ID: "EPH-01", Title: "the deployment comes up with its volume", Level: spec.Must, Profile: spec.Ephemeral}},
	{Spec: spec.Spec{ID: "EPH-02", Title: "an item that was stored is found in the memory file", Level: spec.Must, Profile: spec.Ephemeral}},
	{Spec: spec.Spec{ID: "EPH-03", Title: "the volume is gone with the pod", Level: spec.Should, Profile: spec.Ephemeral}},
	{Spec: spec.Spec{ID: "RST-01", Title: "the claim outlives the pod", Level: spec.Must, Profile: spec.Persistent}},
	{Spec: spec.Spec{ID: "RST-02", Title: "all items survive a restart of the pod, however many there are and whatever their size is", Level: spec.Must, Profile: spec.Persistent}},
	{Spec: spec.Spec{ID: "RST-03", Title: "a state file that does not fit is refused", Level: spec.Must, Profile: spec.Persistent}},
	{Spec: spec.Spec{ID: "RST-04", Title: "a restart is quick", Level: spec.Should, Profile: spec.Persistent}, Outcome: spec.Skipped, Why: `LABELS="!slow"`},
	{Spec: spec.Spec{ID: "THR-01", Title: "throughput is measured", Level: spec.Should, Profile: spec.Persistent}},
}

var facts = []report.Fact{
	{Group: "cluster", Name: "kubernetes", Value: "v1.37.2", Evidence: "GET /version"},
	{Group: "driver pmem-csi.intel.com", Name: "volume modes", Value: "Persistent Ephemeral", Evidence: "CSIDriver"},
	{Group: "driver", Name: "device mode", Value: "lvm", Evidence: "pod pmem-csi/node: -deviceManager=lvm"},
	{Group: "driver", Name: "image", Value: "registry.test/pmem-csi-driver:v1.1.0", Evidence: "pod pmem-csi/node"},
	{Group: "cluster", Name: "nodes", Value: "2", Evidence: "list of nodes"},
	{Group: "node one", Name: "accelerator", Value: "tcg", Evidence: "/proc/cpuinfo"},
	{Group: "node one", Name: "persistent memory is emulated", Value: "yes", Evidence: "memmap=2G!4G"},
	{Group: "node two", Name: "accelerator", Value: "kvm", Evidence: "/proc/cpuinfo"},
	{Group: "node two", Name: "persistent memory is emulated", Value: "yes", Evidence: "memmap=2G!4G"},
	{Group: "memcached", Name: "version", Value: "1.6.38", Evidence: "memcached --version"},
}

var checks = []report.Check{
	{Name: "api", State: report.CheckPassed, Saw: "it answers"},
	{Name: "rights", State: report.CheckUnknown, Saw: "ask for the right to create pods: forbidden", Remedy: "let the user create selfsubjectaccessreviews"},
	{Name: "pmem", State: report.CheckFailed, Saw: "node one has 100 MiB free, 256 MiB are needed", Remedy: "free some, or add a node"},
	{Name: "images", State: report.CheckSkipped, Saw: "SKIP_PREFLIGHT names it"},
}

// outcome is the end of a planned spec.
func outcome(id string, o spec.Outcome, took time.Duration) report.SpecResult {
	r := report.SpecResult{ID: id, Outcome: o, Took: took, Attempts: 1}
	for _, p := range plan {
		if p.ID == id {
			r.Title, r.Level, r.Profile = p.Title, p.Level, p.Profile
		}
	}
	if o != spec.Passed {
		r.Again = "make e2e FOCUS=" + id
	}
	return r
}

func results() []report.SpecResult {
	passed := outcome("EPH-01", spec.Passed, 61230*time.Millisecond)
	flaky := outcome("THR-01", spec.Passed, 3*time.Second)
	flaky.Attempts = 2

	failed := outcome("RST-02", spec.Failed, 48900*time.Millisecond)
	var rows []string
	for i := range 25 {
		rows = append(rows, fmt.Sprintf("key%02d\tmissing", i))
	}
	failed.Reason = "2 checks failed: RST-02 every key is served; RST-05 the state file is removed"
	failed.Failures = []report.Failure{
		{Requirement: "RST-02", Check: "every key is served", Expected: "1000 of 1000 keys", Observed: "0 of 1000; 100% lost\r\n" + strings.Join(rows, "\r\n"), Object: "pod e2e/memcached-0"},
		{Requirement: "RST-05", Check: "the state file is removed", Expected: "no file", Observed: "/data/state\x1b[2J"},
	}
	failed.Evidence = "evidence/RST-02"

	lost := outcome("EPH-02", spec.Undetermined, 12*time.Second)
	lost.Reason = "the cluster no longer answers: connection refused"
	lost.Failures = []report.Failure{{Check: "could not apply the manifest: connection refused"}}

	leaked := outcome("EPH-03", spec.Leaked, 9*time.Second)
	leaked.Leaks = []report.Leak{{View: "node", Where: "one", What: "logical volume pvc-1", Detail: "256 MiB"}}
	leaked.Reason = "left behind: " + leaked.Leaks[0].String()
	return []report.SpecResult{passed, lost, leaked, failed, flaky}
}

func document() report.Document {
	cut := outcome("RST-01", spec.Undetermined, 0)
	cut.Reason = "the suite ended while it ran; it waited for the claim"
	notRun := outcome("RST-03", spec.NotRun, 0)
	notRun.Reason = "the run ended before it"
	d := report.Document{Specs: append(results(), cut, notRun,
		outcome("RST-04", spec.Skipped, 0), outcome("CAP-01", spec.NotApplicable, 0))}
	d.Errors = []string{"the suite died with exit code 2"}
	d.Verdict = report.Verdict{
		Result: report.NotConformant, ExitCode: 1,
		Reasons: []string{
			"EPH-02 is undetermined: the cluster no longer answers: connection refused",
			"RST-02 failed: 2 checks failed", "the suite died with exit code 2",
		},
		Scope: "about ephemeral and persistent only; nothing is said about driver",
		Profiles: []report.ProfileVerdict{
			{Profile: spec.Ephemeral, Result: report.Undetermined, Counts: map[spec.Outcome]int{spec.Passed: 1, spec.Undetermined: 1, spec.Leaked: 1}},
			{Profile: spec.Persistent, Result: report.NotConformant, Pairs: report.Pairs{PairCount: spec.PairCount{Stated: 9, Examined: 7}, Met: 6}, Counts: map[spec.Outcome]int{spec.Passed: 1, spec.Failed: 1, spec.Undetermined: 1, spec.NotRun: 1, spec.Skipped: 1}},
			{Profile: spec.Driver, Result: report.NotExamined, Counts: map[spec.Outcome]int{spec.NotApplicable: 1}},
		},
	}
	return d
}

// benchmarks are one without a difference, one that is slower and in doubt, and
// one without a control.
func benchmarks() []report.Benchmark {
	samples := func(perSecond float64) []report.Sample { return []report.Sample{{PerSecond: perSecond}} }
	even := report.Benchmark{Name: "get-heavy", Profile: spec.Ephemeral, Samples: samples(5310), Control: &report.Control{Name: "dram", Samples: samples(5402)},
		Comparisons: []report.Comparison{{Metric: "requests/s", Better: report.Higher, Ratio: 0.98, Low: 0.95, High: 1.02, Confidence: 0.95, Pairs: 8},
			{Metric: "p99", Better: report.Lower, Ratio: 1, Low: 0.9, High: 1.1, Confidence: 0.95, Pairs: 8}}}
	slower := even
	slower.Name, slower.Profile, slower.Invalid = "large-values", spec.Persistent, []string{"the client was\nthe bottleneck"}
	slower.Comparisons = []report.Comparison{{Metric: "requests/s", Better: report.Higher, Ratio: 0.8, Low: 0.75, High: 0.85, Confidence: 0.95, Pairs: 8}}
	return []report.Benchmark{even, slower, {Name: "throughput", Profile: spec.Persistent, Operations: 120, Elapsed: time.Second}}
}

// run shows p a run in which everything happens that can.
func run(p *Printer) {
	p.ReportDir = "/home/user/project/report"
	p.Requirements([]spec.Requirement{{ID: "RST-02", Level: spec.Must, Profiles: []spec.Profile{spec.Ephemeral, spec.Persistent}, Text: "A restarted server serves every item stored before an orderly stop."}})
	p.Plan(plan)
	phase(p, "bring up the cluster")
	w := p.Writer()
	fmt.Fprint(w, "lab images          12.3s\nlab control ")
	pass(35 * time.Second)
	fmt.Fprintln(w, "plane    35.0s")
	phase(p, "")
	p.Facts(facts, 2300*time.Millisecond)
	p.Preflight(checks, 41*time.Second)
	p.Event(report.Event{Kind: report.SuiteStarted, Text: "1733"})
	for _, r := range results() {
		event := func(kind report.EventKind, text string, w *wait.Record) {
			p.Event(report.Event{Time: time.Now(), Kind: kind, Spec: r.ID, Text: text, Wait: w})
		}
		for range r.Attempts {
			event(report.SpecStarted, "", nil)
			pass(time.Second)
		}
		event(report.StepStarted, "scale to 1", nil)
		w := &wait.Record{Name: wait.DeploymentReady, What: "the pod to be ready", Limit: 3 * time.Minute}
		event(report.WaitStarted, "", w)
		pass(2 * time.Second)
		if r.ID == "RST-02" {
			pass(40 * time.Second)
		}
		event(report.WaitEnded, "", w)
		if r.ID == "THR-01" {
			for _, b := range benchmarks() {
				p.Event(report.Event{Time: time.Now(), Kind: report.Measured, Spec: r.ID, Benchmark: &b})
			}
		}
		pass(time.Second)
		p.Event(report.Event{Time: time.Now(), Kind: report.SpecEnded, Spec: r.ID, Result: &r})
	}
	pass(time.Second)
	p.Event(report.Event{Kind: report.FactFound, Fact: &report.Fact{Group: "leaks", Name: "not compared", Value: "capacity", Evidence: "snapshots"}})
	p.Event(report.Event{Kind: report.LeakFound, Leak: &report.Leak{View: "api", Where: "cluster", What: "PersistentVolume pvc-2", Detail: "Released"}})
	p.Event(report.Event{Kind: report.ErrorMet, Text: "BeforeSuite failed\nat once"})
	p.Event(report.Event{Kind: report.SuiteEnded})
	p.Verdict(document(), "report")
	p.Close()
}

func TestPlainRun(t *testing.T) {
	for name, vars := range map[string]map[string]string{
		"plain.txt":  nil,
		"github.txt": {"GITHUB_ACTIONS": "true"},
		"gitlab.txt": {"GITLAB_CI": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				run(start(&out, env(vars), false, nil))
				golden.Check(t, name, visible(out.String()))
				if name != "gitlab.txt" && strings.ContainsAny(out.String(), "\r\x1b") {
					t.Error("carriage returns or escapes without a terminal")
				}
			})
		})
	}
}

func TestVerboseRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := start(&out, env(nil), false, nil)
		p.Verbose = true
		run(p)
		golden.Check(t, "verbose.txt", out.String())
	})
}

func TestTerminalRun(t *testing.T) {
	tests := []struct {
		name  string
		width int
		vars  map[string]string
	}{
		{"terminal.txt", 100, nil},
		{"no-color.txt", 80, map[string]string{"NO_COLOR": "1"}},
		{"narrow.txt", 40, map[string]string{"NO_COLOR": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &terminal{t: t, width: tt.width}
				run(start(m, env(tt.vars), true, func() int { return tt.width }))
				golden.Check(t, tt.name, m.String()+"\n")
				if tt.name == "terminal.txt" {
					redrawn := strings.ReplaceAll(visible(m.bytes.String()), "␍␛[2K", "␍␛[2K\n")
					golden.Check(t, "terminal-bytes.txt", redrawn)
				}
				if coloured := strings.Contains(m.bytes.String(), "\x1b[0m"); coloured != (tt.vars["NO_COLOR"] == "") {
					t.Errorf("colour: %t", coloured)
				}
			})
		})
	}
}

func TestDumbTerminalIsPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		run(start(&out, env(map[string]string{"TERM": "dumb"}), true, func() int { return 20 }))
		golden.Check(t, "plain.txt", out.String())
	})
}
