package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

func specOf(t *testing.T, d Document, id string) SpecResult {
	t.Helper()
	i := slices.IndexFunc(d.Specs, func(s SpecResult) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("no spec %s in the report", id)
	}
	return d.Specs[i]
}

// recorded runs all specs of the catalogue well, but what events say.
func recorded(events ...Event) *Recorder {
	r := NewRecorder(Run{Started: start}, catalogue())
	r.Plan(planned(nil))
	r.Record(Event{Kind: SuiteStarted, Time: at(1)})
	for _, s := range catalogue().Specs {
		result := passing(s.ID)
		r.Record(Event{Kind: SpecStarted, Spec: s.ID, Time: at(2)})
		r.Record(Event{Kind: SpecEnded, Spec: s.ID, Result: &result, Time: at(3)})
	}
	for _, e := range events {
		r.Record(e)
	}
	r.Record(Event{Kind: SuiteEnded, Time: at(50)})
	return r
}

func ending(change func(*SpecResult)) Event {
	s := passing("RST-01")
	change(&s)
	return Event{Kind: SpecEnded, Spec: "RST-01", Result: &s}
}

func TestRecorderOutcomes(t *testing.T) {
	pod := &wait.Record{Name: wait.PodRuns, What: "pod e2e/cache-0 to run", Limit: time.Minute}
	ran := &wait.Record{Name: wait.PodRuns, What: "pod e2e/cache-0 to run", Limit: time.Minute, Took: 1500 * time.Millisecond, Last: "Pending"}
	again := Event{Kind: SpecStarted, Spec: "RST-01", Time: at(20)}
	tests := []struct {
		name    string
		events  []Event
		outcome spec.Outcome
		reason  string
		verdict Result
	}{
		{"nothing else", nil, spec.Passed, "", Conformant},
		{"failed", []Event{ending(func(s *SpecResult) { *s = violating("RST-01", "RST-01") })}, spec.Failed, "RST-01 is not met", NotConformant},
		{"failed without a reason", []Event{ending(func(s *SpecResult) { *s = violating("RST-01", "RST-01"); s.Reason = "" })}, spec.Failed, `RST-01 is not met: "it is met", expected 1, observed 0`, NotConformant},
		{"a reason of two lines", []Event{ending(func(s *SpecResult) { *s = violating("RST-01", "RST-01"); s.Reason = "one\n two\n" })}, spec.Failed, "one | two", NotConformant},
		{"leaked", []Event{ending(func(s *SpecResult) { *s = leaking("RST-01") })}, spec.Leaked, "left behind: pv", LeakedOnly},
		{"leaked without a reason", []Event{ending(func(s *SpecResult) { *s = leaking("RST-01"); s.Reason = "" })}, spec.Leaked, "left behind: " + volume.String(), LeakedOnly},
		{"undetermined without a reason", []Event{ending(func(s *SpecResult) { s.Outcome = spec.Undetermined })}, spec.Undetermined, "no reason was given", Undetermined},
		{"the last end counts", []Event{ending(func(s *SpecResult) { *s = violating("RST-01", "RST-01") }), ending(func(*SpecResult) {})}, spec.Passed, "", Conformant},
		{"begun again and never ended", []Event{again}, spec.Undetermined, "the suite ended while it ran", Undetermined},
		{"never ended, in a step and a wait", []Event{again, {Kind: StepStarted, Spec: "RST-01", Text: "restart"}, {Kind: WaitStarted, Spec: "RST-01", Wait: pod}},
			spec.Undetermined, "the suite ended while it ran; at the step: restart; it waited for pod e2e/cache-0 to run, at most 1m0s", Undetermined},
		{"never ended, after a wait", []Event{again, {Kind: WaitStarted, Spec: "RST-01", Wait: pod}, {Kind: WaitEnded, Spec: "RST-01", Wait: ran}},
			spec.Undetermined, "the suite ended while it ran; the last wait was for pod e2e/cache-0 to run, 1.5s, last seen: Pending", Undetermined},
		{"passed, but with failures", []Event{ending(func(s *SpecResult) { s.Failures = []Failure{{Check: "no answer"}} })},
			spec.Undetermined, `it is said to be "passed", but it has a failure: no answer`, Undetermined},
		{"passed, but not to the end", []Event{ending(func(s *SpecResult) { s.Complete = false })},
			spec.Undetermined, `it is said to be "passed", but its body did not come to its end`, Undetermined},
		{"passed, but not all was examined", []Event{ending(func(s *SpecResult) { s.Examined = s.Examined[:1] })},
			spec.Undetermined, `it is said to be "passed", but it did not examine RST-02`, Undetermined},
		{"passed, but with a leak", []Event{ending(func(s *SpecResult) { s.Leaks = []Leak{volume} })},
			spec.Undetermined, `it is said to be "passed", but it left behind ` + volume.String(), Undetermined},
		{"leaked, but nothing", []Event{ending(func(s *SpecResult) { s.Outcome = spec.Leaked })},
			spec.Undetermined, `it is said to be "leaked", but it left nothing behind`, Undetermined},
		{"failed, but no requirement", []Event{ending(func(s *SpecResult) { s.Outcome = spec.Failed; s.Failures = []Failure{{Check: "no answer"}} })},
			spec.Undetermined, `it is said to be "failed", but no failure names a requirement`, Undetermined},
		{"skipped, but it ran", []Event{ending(func(s *SpecResult) { s.Outcome = spec.Skipped })},
			spec.Undetermined, `it is said to be "skipped", but it was begun`, Undetermined},
		{"no outcome", []Event{ending(func(s *SpecResult) { s.Outcome = "" })},
			spec.Undetermined, `it is said to be "", but there are only failed, undetermined, not run, leaked, skipped, passed, not applicable`, Undetermined},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := recorded(tt.events...).Finish(at(60), nil)
			s := specOf(t, d, "RST-01")
			if s.Outcome != tt.outcome || s.Reason != tt.reason {
				t.Errorf("%q because %q, want %q because %q", s.Outcome, s.Reason, tt.outcome, tt.reason)
			}
			if d.Verdict.Result != tt.verdict {
				t.Errorf("verdict %s, want %s", d.Verdict.Result, tt.verdict)
			}
			if err := d.Validate(); err != nil {
				t.Errorf("the report is not valid: %v", err)
			}
		})
	}
}

func TestRecorderErrors(t *testing.T) {
	unplanned := passing("RST-01")
	unplanned.ID = "XXX-01"
	tests := []struct {
		name string
		r    func() *Recorder
		want []string
	}{
		{"none", func() *Recorder { return recorded() }, nil},
		{"reported, of two lines and twice", func() *Recorder {
			r := recorded(Event{Kind: ErrorMet, Text: "one\ntwo"})
			r.AddError("\none\n\n two ")
			return r
		}, []string{"one | two"}},
		{"reported without a word", func() *Recorder { return recorded(Event{Kind: ErrorMet}) }, []string{"something went wrong that was not described"}},
		{"the suite died", func() *Recorder {
			r := NewRecorder(Run{Started: start}, catalogue())
			r.Plan(planned(nil))
			r.Record(Event{Kind: SuiteStarted})
			return r
		}, []string{"the suite's process ended before its time"}},
		{"the suite never began", func() *Recorder {
			r := NewRecorder(Run{Started: start}, catalogue())
			r.Plan(planned(nil))
			return r
		}, nil},
		{"not planned", func() *Recorder {
			return recorded(Event{Kind: SpecStarted, Spec: "XXX-01"}, Event{Kind: SpecEnded, Spec: "XXX-01", Result: &unplanned})
		}, []string{"spec XXX-01 ran although it was not planned"}},
		{"not planned, and it never ended", func() *Recorder { return recorded(Event{Kind: SpecStarted, Spec: "XXX-02"}) },
			[]string{"spec XXX-02 ran although it was not planned"}},
		{"planned as skipped", func() *Recorder {
			r := recorded()
			r.Plan(planned(map[string]spec.Outcome{"RST-02": spec.Skipped}))
			return r
		}, []string{"spec RST-02 ran although it was planned as skipped"}},
		{"no event", func() *Recorder { return recorded(Event{Kind: SpecEnded, Spec: "RST-01"}, Event{Kind: "party"}) },
			[]string{`an event was lost: Kind is "party", which is none`, `an event was lost: Kind is "spec ended", which needs Result`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.r().Finish(at(60), nil)
			if !slices.Equal(d.Errors, tt.want) {
				t.Errorf("errors %q, want %q", d.Errors, tt.want)
			}
			if len(tt.want) > 0 && d.Verdict.Result != Undetermined {
				t.Errorf("verdict %s, want %s", d.Verdict.Result, Undetermined)
			}
			if err := d.Validate(); err != nil {
				t.Errorf("the report is not valid: %v", err)
			}
		})
	}
}

func TestNothingRecorded(t *testing.T) {
	r := NewRecorder(Run{Started: start}, catalogue())
	if d := r.Finish(at(1), nil); d.Verdict.Result != Undetermined || len(d.Specs) != 0 {
		t.Errorf("without a plan: %s, %d specs", d.Verdict.Result, len(d.Specs))
	}
	r.Plan(planned(nil))
	d := r.Finish(at(1), nil)
	for _, s := range d.Specs {
		if s.Outcome != spec.NotRun || s.Reason != "the run ended before it" {
			t.Errorf("%s: %q because %q", s.ID, s.Outcome, s.Reason)
		}
	}
	if d.Verdict.Result != Undetermined || d.Verdict.ExitCode != ExitUndetermined {
		t.Errorf("verdict %+v", d.Verdict)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

func TestFactsAreKeptOnce(t *testing.T) {
	r := recorded()
	r.Facts([]Fact{{Group: "node a", Name: "kernel", Value: "6.1", Evidence: "uname"}, {Group: "node a", Name: "kernel", Value: "6.1", Evidence: "again"}})
	r.Record(Event{Kind: FactFound, Fact: &Fact{Group: "node a", Name: "kernel", Value: "6.2", Evidence: "uname"}})
	r.Record(Event{Kind: FactFound, Fact: &Fact{Group: "node b", Name: "kernel", Value: "6.1", Evidence: "uname"}})
	want := []Fact{{Group: "node a", Name: "kernel", Value: "6.1", Evidence: "uname"}, {Group: "node a", Name: "kernel", Value: "6.2", Evidence: "uname"},
		{Group: "node b", Name: "kernel", Value: "6.1", Evidence: "uname"}}
	if got := r.Finish(at(60), nil).Facts; !slices.Equal(got, want) {
		t.Errorf("facts %+v, want %+v", got, want)
	}
}

func TestWaitsOfNoSpec(t *testing.T) {
	record := func(what string) *wait.Record { return &wait.Record{Name: wait.LabAPI, What: what, Done: true} }
	r := recorded(Event{Kind: WaitEnded, Wait: record("the API")}, Event{Kind: WaitEnded, Spec: "RST-01", Wait: record("a spec that has ended")})
	d := r.Finish(at(60), nil)
	if len(d.Waits) != 2 || d.Waits[0].What != "the API" || d.Waits[1].What != "a spec that has ended" {
		t.Errorf("waits %+v", d.Waits)
	}
}

func TestKnownFailures(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name  string
		s     SpecResult
		known []KnownFailure
		met   []*bool
		link  bool // of the spec
	}{
		{"seen", violating("RST-01", "RST-02"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{&yes}, true},
		{"one of two is seen", violating("RST-01", "RST-02"), []KnownFailure{accepted("RST-01", "RST-01"), accepted("RST-01", "RST-02")}, []*bool{&no, &yes}, true},
		{"another is seen", violating("RST-01", "RST-01"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{&no}, false},
		{"seen, but not alone", violating("RST-01", "RST-01", "RST-02"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{&yes}, false},
		{"not reached", violatedThenStopped("RST-01", "RST-01"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{nil}, false},
		{"passed", passing("RST-01"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{&no}, false},
		{"leaked", leaking("RST-01"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{&no}, false},
		{"undetermined", undetermined("RST-01"), []KnownFailure{accepted("RST-01", "RST-02")}, []*bool{nil}, false},
		{"of another spec", violating("RST-01", "RST-01"), []KnownFailure{accepted("RST-03", "RST-01")}, []*bool{&no}, false},
		{"a SHOULD", violating("RST-03", "RST-03"), []KnownFailure{accepted("RST-03", "RST-03")}, []*bool{&yes}, true},
		{"a SHOULD next to the MUST that is known", violating("RST-03", "RST-01", "RST-03"), []KnownFailure{accepted("RST-03", "RST-01")}, []*bool{&yes}, true},
		{"a SHOULD fails, but the MUST is known", violating("RST-03", "RST-03"), []KnownFailure{accepted("RST-03", "RST-01")}, []*bool{&no}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := recorded(Event{Kind: SpecEnded, Spec: tt.s.ID, Result: &tt.s})
			r.Known(tt.known)
			d := r.Finish(at(60), nil)
			for i, k := range d.Known {
				if !reflect.DeepEqual(k.Met, tt.met[i]) {
					t.Errorf("%s in %s: met is %s, want %s", k.Requirement, k.Spec, met(k), met(KnownFailure{Met: tt.met[i]}))
				}
			}
			if got := specOf(t, d, tt.s.ID).Known; (got != "") != tt.link {
				t.Errorf("the spec's link is %q, want one: %v", got, tt.link)
			}
			if err := d.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKnownFailureOfASpecThatIsNotRun(t *testing.T) {
	for _, o := range []spec.Outcome{spec.Skipped, spec.NotApplicable} {
		r := NewRecorder(Run{Started: start}, catalogue())
		r.Plan(planned(map[string]spec.Outcome{"RST-01": o}))
		r.Known([]KnownFailure{accepted("RST-01", "RST-02")})
		if k := r.Finish(at(1), nil).Known[0]; k.Met != nil {
			t.Errorf("%s: met is %v, want nothing", o, *k.Met)
		}
	}
}

func TestFinishMayBeCalledAgain(t *testing.T) {
	r := eventful()
	first, second := r.Finish(at(60), nil), r.Finish(at(60), nil)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("first\n%+v\nthen\n%+v", first, second)
	}
	before := fmt.Sprintf("%+v", first)
	result := passing("RST-03")
	r.Record(Event{Kind: SpecEnded, Spec: "RST-03", Result: &result})
	r.Record(Event{Kind: SuiteEnded})
	r.Run(func(run *Run) { run.Deployments["ephemeral"] = "elsewhere" })
	third := r.Finish(at(70), nil)
	if s := specOf(t, third, "RST-03"); s.Outcome != spec.Passed || len(third.Errors) != 0 {
		t.Errorf("after its end RST-03 is %q; errors %q", s.Outcome, third.Errors)
	}
	if got := fmt.Sprintf("%+v", first); got != before {
		t.Errorf("the first report changed from\n%s\nto\n%s", before, got)
	}
}

func TestRecorderIsSafe(t *testing.T) {
	r := recorded()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 50 {
				id := fmt.Sprintf("%d-%d", i, n)
				r.Record(Event{Kind: FactFound, Fact: &Fact{Name: id}})
				r.AddError(id)
				r.Run(func(run *Run) { run.Host = id })
				_ = r.Finish(at(60), nil)
			}
		})
	}
	group.Wait()
	if d := r.Finish(at(60), nil); len(d.Facts) != 400 || len(d.Errors) != 400 {
		t.Errorf("%d facts and %d errors, want 400 of each", len(d.Facts), len(d.Errors))
	}
}

func TestEventfulVerdict(t *testing.T) {
	d := eventfulDocument()
	if d.Verdict.Result != NotConformant || !strings.HasPrefix(d.Verdict.Reasons[0], "RST-01 failed") {
		t.Errorf("verdict %+v", d.Verdict)
	}
	died := specOf(t, d, "RST-03")
	if died.Outcome != spec.Undetermined || died.Attempts != 1 || !slices.Equal(died.Steps, []string{"restart the pod"}) || !died.Started.Equal(at(13)) {
		t.Errorf("spec that died: %+v", died)
	}
}
