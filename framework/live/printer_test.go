package live

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

func event(p *Printer, kind report.EventKind, id, text string) {
	p.Event(report.Event{Time: time.Now(), Kind: kind, Spec: id, Text: text})
}

func waitEvent(p *Printer, kind report.EventKind, id, what string) {
	p.Event(report.Event{Time: time.Now(), Kind: kind, Spec: id,
		Wait: &wait.Record{Name: wait.PodsGone, What: what, Limit: 2 * time.Minute}})
}

// phase shows a phase as the lab does.
func phase(p *Printer, what string) {
	if what == "" {
		p.Doing(nil)
		return
	}
	p.Doing(func() string { return what })
}

func TestLiveLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var width atomic.Int64
		width.Store(80)
		m := &terminal{t: t, width: 200}
		p := start(m, env(nil), true, func() int { return int(width.Load()) })
		see := func(want string) {
			t.Helper()
			pass(refresh)
			if m.last() != want {
				t.Errorf("the last row is %q, want %q", m.last(), want)
			}
		}
		p.Plan(plan)
		see("")
		phase(p, "bring up the cluster")
		pass(time.Minute)
		see(" ▸ bring up the cluster 1m0s")

		event(p, report.SuiteStarted, "", "7")
		see(" ▸ the suite begins 0s")
		waitEvent(p, report.WaitStarted, "", "the first snapshot")
		see(" ▸ the suite begins 0s · waiting 0s of 2m0s for the first snapshot")
		waitEvent(p, report.WaitEnded, "", "the first snapshot")

		event(p, report.SpecStarted, "EPH-01", "")
		see(" ▸ 1/7 EPH-01 0s · the deployment comes up with its volume")
		pass(90 * time.Second)
		event(p, report.StepStarted, "EPH-01", "scale to\n0")
		see(" ▸ 1/7 EPH-01 1m30s · scale to | 0")

		waitEvent(p, report.WaitStarted, "EPH-01", "the pod to be gone")
		pass(10 * time.Second)
		waitEvent(p, report.WaitStarted, "EPH-01", "the volume to be gone")
		see(" ▸ 1/7 EPH-01 1m40s · scale to | 0 · waiting 0s of 2m0s for the volume to be g…")
		width.Store(100) // the terminal is made wider, and narrower
		see(" ▸ 1/7 EPH-01 1m40s · scale to | 0 · waiting 0s of 2m0s for the volume to be gone")
		width.Store(20)
		see(" ▸ 1/7 EPH-01 1m41…")
		width.Store(1)
		see("")
		width.Store(80)
		waitEvent(p, report.WaitEnded, "EPH-01", "the volume to be gone")
		see(" ▸ 1/7 EPH-01 1m41s · scale to | 0 · waiting 11s of 2m0s for the pod to be gone")
		waitEvent(p, report.WaitEnded, "EPH-01", "the pod to be gone")
		see(" ▸ 1/7 EPH-01 1m41s · scale to | 0")

		// What an earlier spec left going on is not this one's.
		waitEvent(p, report.WaitStarted, "EPH-00", "a namespace")
		event(p, report.StepStarted, "EPH-00", "clean up")
		see(" ▸ 1/7 EPH-01 1m41s · scale to | 0")

		event(p, report.SpecStarted, "EPH-01", "")
		see(" ▸ 1/7 EPH-01 0s attempt 2 · the deployment comes up with its volume")
		r := outcome("EPH-01", spec.Passed, time.Second)
		p.Event(report.Event{Kind: report.SpecEnded, Spec: "EPH-01", Result: &r})
		see(" ▸ between two specs 0s")

		width.Store(120)
		event(p, report.SpecStarted, "EPH-02", "")
		pass(time.Second)
		event(p, report.SpecStarted, "RST-01", "")
		event(p, report.StepStarted, "EPH-02", "look at the mount")
		see(" ▸ 3/7 EPH-02 1s · look at the mount │ RST-01 0s · the claim outlives the pod")
		waitEvent(p, report.WaitStarted, "RST-01", "a pod")
		r = outcome("EPH-02", spec.Passed, time.Second)
		p.Event(report.Event{Kind: report.SpecEnded, Spec: "EPH-02", Result: &r})
		see(" ▸ 3/7 RST-01 0s · the claim outlives the pod · waiting 0s of 2m0s for a pod")
		r = outcome("RST-01", spec.Passed, time.Second)
		p.Event(report.Event{Kind: report.SpecEnded, Spec: "RST-01", Result: &r})
		see(" ▸ between two specs 0s")
		width.Store(80)
		event(p, report.SuiteEnded, "", "")
		see("")

		event(p, report.SpecStarted, "NEW-01", "") // in no plan
		see(" ▸ 4/7 NEW-01 0s · it runs")
		phase(p, "take down the cluster")
		see(" ▸ take down the cluster 0s")
		p.Close()
		p.Close()
		see("")
	})
}

func TestLongSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := start(&out, env(nil), false, nil)
		defer p.Close()
		pass(5 * time.Minute) // nothing is done, so nothing is printed
		event(p, report.SpecStarted, "EPH-01", "")
		pass(29 * time.Second)
		waitEvent(p, report.WaitStarted, "EPH-01", "the pod to be ready")
		pass(61 * time.Second)
		fmt.Fprintln(p.Writer(), "someone else says something")
		pass(29 * time.Second)
		phase(p, "take down the cluster")
		pass(30 * time.Second)
		phase(p, "")
		pass(5 * time.Minute)
		want := strings.Join([]string{
			" ▸ EPH-01 0s · it runs",
			" ▸ EPH-01 30s · it runs · waiting 1s of 2m0s for the pod to be ready",
			" ▸ EPH-01 1m0s · it runs · waiting 31s of 2m0s for the pod to be ready",
			"someone else says something",
			" ▸ take down the cluster 1s",
			"",
		}, "\n")
		if out.String() != want {
			t.Errorf("it says\n%swant\n%s", &out, want)
		}
	})
}

func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &terminal{t: t, width: 60}
		p := start(m, env(nil), true, func() int { return 60 })
		phase(p, "bring up the cluster")
		one, two := p.Writer(), p.Writer()
		pass(time.Second)
		for _, w := range []struct {
			to   io.Writer
			text string
		}{
			{one, "first\nsec"}, {two, "other\r\n"}, {one, "ond\n\nthird"}, {two, "a\x1b[31mb\rc\n"}, {two, "unfinished"},
		} {
			if n, err := io.WriteString(w.to, w.text); n != len(w.text) || err != nil {
				t.Errorf("Write(%q) = %d, %v", w.text, n, err)
			}
			pass(refresh)
		}
		p.Close()
		want := "first\nother\nsecond\n\na\\x1b[31mb\\rc\nthird\nunfinished\n"
		if m.String() != want {
			t.Errorf("seen is\n%s\nwant\n%s", m, want)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	m := &terminal{t: t, width: 80}
	p := start(m, env(nil), true, func() int { return 80 })
	p.Plan(plan)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			w := p.Writer()
			for range 50 {
				event(p, report.SpecStarted, "EPH-01", "")
				event(p, report.StepStarted, "EPH-01", "step")
				fmt.Fprintf(w, "line of %d\n", i)
				p.beat()
			}
		})
	}
	all.Wait()
	p.Close()
	if n := strings.Count(m.String(), "\nline of "); n != 200 {
		t.Errorf("%d lines are seen whole, want 200:\n%s", n, m)
	}
}

const hostile = "\r\x1b[2J\u202e\n::error title=forged::x\n  ::add-mask::x\n##[error]x\x00\xff"

// fill sets every text in v, whatever its depth.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	}
}

func TestHostileText(t *testing.T) {
	for name, vars := range map[string]map[string]string{"plain": nil, "github": {"GITHUB_ACTIONS": "true"}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := start(&out, env(vars), false, nil)
			p.Verbose = true
			fmt.Fprint(p.Writer(), hostile+"\n")
			var d report.Document
			fill(reflect.ValueOf(&d).Elem())
			d.Specs[0].Outcome = spec.Undetermined
			d.Verdict.ExitCode = 2
			var planned spec.Planned
			fill(reflect.ValueOf(&planned).Elem())
			planned.Outcome = spec.NotApplicable
			p.Plan([]spec.Planned{planned})
			phase(p, hostile)
			p.Facts(d.Facts, time.Second)
			p.Preflight(d.Preflight, time.Second)
			p.Verbose = false
			p.Facts(append(slices.Clone(d.Facts), report.Fact{Group: "cluster", Name: "kubernetes", Value: hostile}), time.Second)
			for _, kind := range []report.EventKind{report.SuiteStarted, report.SpecStarted, report.StepStarted,
				report.WaitStarted, report.LeakFound, report.ErrorMet, report.FactFound, report.Measured} {
				e := report.Event{}
				fill(reflect.ValueOf(&e).Elem())
				e.Kind = kind
				p.Event(e)
				p.mu.Lock()
				if p.now.what != "" {
					p.line(p.doing())
				}
				p.mu.Unlock()
			}
			p.Requirements([]spec.Requirement{{ID: hostile, Text: hostile}})
			failed := d.Specs[0]
			failed.Outcome = spec.Failed
			p.Event(report.Event{Kind: report.SpecEnded, Result: &failed})
			p.ended = map[string]bool{}
			p.Verdict(d, hostile)
			p.Close()

			allowed := []string{"::group::", "::endgroup::", "::error title="}
			for line := range strings.Lines(out.String()) {
				if strings.ContainsAny(line, "\r\x1b\x00\u202e") || !utf8.ValidString(line) {
					t.Errorf("line %q has control characters", line)
				}
				if name != "github" {
					continue
				}
				text := strings.TrimSpace(line)
				forged := strings.HasPrefix(text, "::") && !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(line, a) })
				if forged || strings.HasPrefix(text, "::error title=forged") || strings.Contains(line, "##[") {
					t.Errorf("line %q is a command that nobody meant", line)
				}
			}
			last := strings.TrimSuffix(out.String(), "\n")
			if last = last[strings.LastIndexByte(last, '\n')+1:]; !strings.HasPrefix(last, "verdict  ") {
				t.Errorf("the last line is %q", last)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	var many []string
	for i := range 14 {
		many = append(many, fmt.Sprintf("reason %d", i))
	}
	tests := []struct {
		name string
		doc  report.Document
		want string
	}{
		{
			"conformant",
			report.Document{Verdict: report.Verdict{Result: report.Conformant, Profiles: []report.ProfileVerdict{
				{Profile: spec.Ephemeral, Result: report.Conformant, Counts: map[spec.Outcome]int{spec.Passed: 4}},
				{Profile: spec.Persistent, Result: report.NotExamined, Counts: map[spec.Outcome]int{spec.Skipped: 9}},
			}}},
			"verdict  ephemeral: CONFORMANT (0 failed, 4 passed)\nverdict  CONFORMANT (0 failed, 9 skipped, 4 passed) · out/index.html\n",
		},
		{
			"measured",
			report.Document{Verdict: report.Verdict{Result: report.AllMeasured, Profiles: []report.ProfileVerdict{
				{Profile: spec.Ephemeral, Result: report.AllMeasured, Counts: map[spec.Outcome]int{spec.Passed: 1, spec.Skipped: 5}},
			}}},
			"verdict  ephemeral: MEASURED (0 failed, 5 skipped, 1 passed)\nverdict  MEASURED (0 failed, 5 skipped, 1 passed) · out/index.html\n",
		},
		{
			"nothing was run",
			report.Document{
				Errors: []string{"bring up the cluster: no room"},
				Specs: []report.SpecResult{
					{ID: "EPH-01", Outcome: spec.NotRun, Reason: "nothing is known about it"},
					{ID: "EPH-02", Outcome: spec.NotRun, Reason: "nothing is known about it"},
				},
				Verdict: report.Verdict{Result: report.Undetermined, ExitCode: 2,
					Reasons: []string{"EPH-01 is not run: nothing is known about it", "EPH-02 is not run: nothing is known about it", "bring up the cluster: no room"},
					Profiles: []report.ProfileVerdict{
						{Profile: spec.Ephemeral, Result: report.Undetermined, Counts: map[spec.Outcome]int{spec.NotRun: 2}}}},
			},
			" … not run: EPH-01 EPH-02\nverdict  ephemeral: UNDETERMINED (0 failed, 2 not run, 0 passed)\n" +
				"because  bring up the cluster: no room\n" +
				"because  EPH-01 is not run: nothing is known about it\nbecause  EPH-02 is not run: nothing is known about it\n" +
				"verdict  UNDETERMINED (0 failed, 2 not run, 0 passed) · out/index.html\n",
		},
		{
			"many reasons",
			report.Document{Verdict: report.Verdict{Result: report.Undetermined, ExitCode: 2, Reasons: many}},
			"because  reason 0\nbecause  reason 1\nbecause  reason 2\nbecause  reason 3\nbecause  reason 4\nbecause  reason 5\n" +
				"because  reason 6\nbecause  reason 7\nbecause  reason 8\nbecause  reason 9\nbecause  … 4 more reasons in out/index.html\n" +
				"verdict  UNDETERMINED (0 failed, 0 passed) · out/index.html\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			p := start(&out, env(nil), false, nil)
			defer p.Close()
			p.Verdict(tt.doc, "out")
			if out.String() != tt.want {
				t.Errorf("it says\n%swant\n%s", &out, tt.want)
			}
		})
	}
}
