package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Recorder makes a Document out of what a run reports while it goes. It is safe
// for concurrent use.
type Recorder struct {
	// Secrets removes secrets from what is recorded; set before use.
	Secrets *redact.Redactor

	mu        sync.Mutex
	doc       Document // what is reported as it is
	catalogue spec.Catalogue
	plan      []spec.Planned
	ended     map[string]SpecResult
	running   map[string]*progress
	attempts  map[string]int // begun
	begun     bool           // the suite
	over      bool           // the suite
}

// NewRecorder begins a report.
func NewRecorder(run Run, c spec.Catalogue) *Recorder {
	return &Recorder{Secrets: &redact.Redactor{}, doc: Document{Schema: Schema, Run: run}, catalogue: c,
		ended: map[string]SpecResult{}, running: map[string]*progress{}, attempts: map[string]int{}}
}

func (r *Recorder) locked(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// Run changes what is said about the run.
func (r *Recorder) Run(change func(*Run)) {
	r.locked(func() {
		change(&r.doc.Run)
		r.doc.Run = redact.In(r.Secrets, r.doc.Run)
	})
}

// Plan sets what is to become of every spec; a later plan takes its place.
func (r *Recorder) Plan(plan []spec.Planned) { r.locked(func() { r.plan = slices.Clone(plan) }) }

// Facts adds facts.
func (r *Recorder) Facts(facts []Fact) {
	r.locked(func() {
		for _, f := range redact.In(r.Secrets, facts) {
			r.fact(f)
		}
	})
}

// Preflight adds checks.
func (r *Recorder) Preflight(checks []Check) {
	r.locked(func() { r.doc.Preflight = append(r.doc.Preflight, redact.In(r.Secrets, checks)...) })
}

// Known sets the failures that are accepted.
func (r *Recorder) Known(known []KnownFailure) {
	r.locked(func() { r.doc.Known = redact.In(r.Secrets, known) })
}

// Baseline sets what benchmarks are compared with.
func (r *Recorder) Baseline(baseline []BaselineEntry) {
	r.locked(func() { r.doc.Baseline = redact.In(r.Secrets, baseline) })
}

// Mutation sets what is on record about the specs themselves; nil: nothing.
func (r *Recorder) Mutation(p *spec.Proof) { r.locked(func() { r.doc.Mutation = p }) }

// AddError adds something that went wrong outside of the specs. Of several
// lines one is made; what is reported twice is kept once.
func (r *Recorder) AddError(text string) {
	r.locked(func() { r.doc.Errors = addLine(r.doc.Errors, r.Secrets.Text(text)) })
}

func addLine(list []string, text string) []string {
	if text = oneline.Of(text); text == "" {
		text = "something went wrong that was not described"
	}
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// fact keeps what was seen once only; a second value for a name stays next to
// the first.
func (r *Recorder) fact(f Fact) {
	if !slices.ContainsFunc(r.doc.Facts, func(o Fact) bool { return o.Group == f.Group && o.Name == f.Name && o.Value == f.Value }) {
		r.doc.Facts = append(r.doc.Facts, f)
	}
}

// Record takes in an event.
func (r *Recorder) Record(e Event) {
	e = redact.In(r.Secrets, e)
	r.locked(func() { r.record(e) })
}

func (r *Recorder) record(e Event) {
	if why := e.defect(); why != "" {
		r.doc.Errors = addLine(r.doc.Errors, "an event was lost: "+why)
		return
	}
	running := r.running[e.Spec]
	switch e.Kind {
	case SuiteStarted:
		r.begun = true
	case SuiteEnded:
		r.over = true
	case SpecStarted:
		r.attempts[e.Spec]++
		r.doc.Benchmarks = slices.DeleteFunc(slices.Clone(r.doc.Benchmarks), func(b Benchmark) bool { return b.Spec == e.Spec })
		r.running[e.Spec] = &progress{started: e.Time}
	case SpecEnded:
		delete(r.running, e.Result.ID)
		r.ended[e.Result.ID] = *e.Result
	case StepStarted:
		if running != nil {
			running.steps = append(running.steps, e.Text)
		}
	case WaitStarted:
		if running != nil {
			running.open = append(running.open, *e.Wait)
		}
	case WaitEnded:
		if running != nil {
			running.waitEnded(*e.Wait)
		} else {
			r.doc.Waits = append(r.doc.Waits, *e.Wait)
		}
	case FactFound:
		r.fact(*e.Fact)
	case Measured:
		r.doc.Benchmarks = append(r.doc.Benchmarks, *e.Benchmark)
	case LeakFound:
		r.doc.Leaks = append(r.doc.Leaks, *e.Leak)
	case WorkDone:
		if r.doc.Run.Work == nil {
			r.doc.Run.Work = &Work{}
		}
		sum := r.doc.Run.Work.Plus(*e.Work)
		r.doc.Run.Work = &sum
	case Uncompared:
		r.doc.Uncompared = addLine(r.doc.Uncompared, e.Text)
	case ErrorMet:
		r.doc.Errors = addLine(r.doc.Errors, e.Text)
	}
}

// Finish returns the report as of now. It may be called again later, when more
// is known.
func (r *Recorder) Finish(ended time.Time, evidence []File) Document {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.doc
	d.Run.Ended = ended
	d.Run.Deployments = maps.Clone(d.Run.Deployments)
	d.Facts, d.Preflight, d.Leaks = solid(d.Facts), solid(d.Preflight), solid(d.Leaks)
	d.Waits, d.Known = solid(d.Waits), solid(d.Known)
	d.Benchmarks, d.Evidence = solid(d.Benchmarks), solid(evidence)
	d.Uncompared, d.Errors = slices.Clone(r.doc.Uncompared), r.errors()
	d.Specs = make([]SpecResult, 0, len(r.plan))
	for _, p := range r.plan {
		d.Specs = append(d.Specs, r.result(p))
	}
	d.Requirements = requirementResults(r.catalogue.Requirements, d.Specs)
	d.accept()
	d.compareBaseline()
	d.Verdict = d.judge(verdictRules)
	return d
}

// errors are those that were reported, and those that follow from what was not.
func (r *Recorder) errors() []string {
	list := solid(r.doc.Errors)
	for _, id := range sortedKeys(r.attempts) {
		list = r.unplanned(list, id)
	}
	for _, id := range sortedKeys(r.ended) {
		list = r.unplanned(list, id)
	}
	if r.begun && !r.over {
		list = addLine(list, "the suite's process ended before its time")
	}
	slices.Sort(list)
	return list
}

func (r *Recorder) unplanned(list []string, id string) []string {
	i := slices.IndexFunc(r.plan, func(p spec.Planned) bool { return p.ID == id })
	switch {
	case i < 0:
		return addLine(list, fmt.Sprintf("spec %s ran although it was not planned", id))
	case r.plan[i].Outcome != "":
		return addLine(list, fmt.Sprintf("spec %s ran although it was planned as %s", id, r.plan[i].Outcome))
	}
	return list
}

// result is what became of a planned spec. One that was begun again after it
// had ended, and did not end, has no outcome of its own.
func (r *Recorder) result(p spec.Planned) SpecResult {
	res := SpecResult{Outcome: spec.NotRun, Reason: "the run ended before it"}
	if ended, ok := r.ended[p.ID]; ok {
		res = ended
	}
	if running := r.running[p.ID]; running != nil {
		res = running.cutShort()
		res.Attempts = r.attempts[p.ID]
	}
	if p.Outcome != "" {
		res = SpecResult{Outcome: p.Outcome, Reason: p.Why}
	}
	res.ID, res.Title, res.Level, res.Profile, res.Covers = p.ID, p.Title, p.Level, p.Profile, solid(p.Covers)
	res.Benchmark = p.Measures()
	return res.settled()
}

// progress is that of a spec which has not ended.
type progress struct {
	started time.Time
	steps   []string
	waits   []wait.Record // ended
	open    []wait.Record
}

func (p *progress) waitEnded(w wait.Record) {
	if i := slices.IndexFunc(p.open, func(o wait.Record) bool { return o.Name == w.Name && o.What == w.What }); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
	p.waits = append(p.waits, w)
}

// cutShort is the result of a spec about which nothing more will be known.
func (p *progress) cutShort() SpecResult {
	why := []string{"the suite ended while it ran"}
	if n := len(p.steps); n > 0 {
		why = append(why, "at the step: "+p.steps[n-1])
	}
	if n := len(p.open); n > 0 {
		why = append(why, fmt.Sprintf("it waited for %s, at most %s", p.open[n-1].What, p.open[n-1].Limit))
	} else if n := len(p.waits); n > 0 {
		why = append(why, fmt.Sprintf("the last wait was for %s, %s, last seen: %s", p.waits[n-1].What, tenths(p.waits[n-1].Took), p.waits[n-1].Last))
	}
	return SpecResult{Outcome: spec.Undetermined, Reason: strings.Join(why, "; "), Started: p.started,
		Steps: slices.Clone(p.steps), Waits: slices.Clone(p.waits)}
}

// solid is list, and never nil, so that it is encoded as one.
func solid[T any](list []T) []T { return append([]T{}, list...) }

func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
