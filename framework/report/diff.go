package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Waits of a name are reported as slower when both reports have slowerCount of
// them that came to their state, and when the median grew by slowerBy and by
// slowerAbove: one wait says little, a shared machine varies by less than the
// factor, and what takes less than the difference is no matter.
const (
	slowerCount = 3
	slowerBy    = 1.5
	slowerAbove = 2 * time.Second
)

// Change is one difference between two reports.
type Change struct {
	What     string // id of a spec or requirement, name of a fact or wait
	Old, New string // empty: there was none
	Note     string
}

// Section is a kind of difference.
type Section struct {
	Title   string
	Worse   bool // such a difference makes the second report worse
	Changes []Change
}

// Diff is how a report differs from an earlier one.
type Diff struct {
	Old, New Run
	Verdicts [2]Result
	Sections []Section // those with changes
}

// Worse reports whether the second report has a worse verdict, of the run or
// of a profile that both examined, or a regression.
func (d Diff) Worse() bool {
	return d.Verdicts[1].Weight() > d.Verdicts[0].Weight() ||
		slices.ContainsFunc(d.Sections, func(s Section) bool { return s.Worse })
}

// Compare returns how b differs from the earlier a.
func Compare(a, b Document) Diff {
	d := Diff{Old: a.Run, New: b.Run, Verdicts: [2]Result{a.Verdict.Result, b.Verdict.Result}}
	add := func(title string, worse bool, changes []Change) {
		if len(changes) > 0 {
			d.Sections = append(d.Sections, Section{title, worse, changes})
		}
	}
	worse, others := compareProfiles(a, b)
	add("profiles with a worse verdict", true, worse)
	add("profiles with another verdict", false, others)
	specs := compareSpecs(a, b)
	add("regressions", true, specs.regressions)
	add("fixed", false, specs.fixes)
	add("newly skipped or not applicable", false, specs.lost)
	add("newly run", false, specs.gained)
	add("other outcomes", false, specs.other)
	add("specs that are new", false, specs.added)
	add("specs that are gone", false, specs.removed)
	gained, lost := compareCoverage(a, b)
	add("requirements no longer covered", false, lost)
	add("requirements newly covered", false, gained)
	add("versions, images and machines", false, compareFacts(a, b))
	add(fmt.Sprintf("slower waits (median of at least %d, %g times and %s more)", slowerCount, slowerBy, slowerAbove), false, compareWaits(a, b))
	add("benchmarks (of different runs: an indication only)", false, compareBenchmarks(a, b))
	return d
}

func compareProfiles(a, b Document) (worse, others []Change) {
	before := map[spec.Profile]Result{}
	for _, p := range a.Verdict.Profiles {
		before[p.Profile] = p.Result
	}
	for _, now := range b.Verdict.Profiles {
		was := before[now.Profile]
		delete(before, now.Profile)
		change := Change{What: string(now.Profile), Old: string(was), New: string(now.Result), Note: strings.Join(now.Reasons[:min(1, len(now.Reasons))], "")}
		switch {
		case was == now.Result:
		case was == "" || was == NotExamined || now.Result == NotExamined || now.Result.Weight() < was.Weight():
			others = append(others, change)
		default:
			worse = append(worse, change)
		}
	}
	for _, p := range sortedKeys(before) {
		others = append(others, Change{What: string(p), Old: string(before[p])})
	}
	return worse, others
}

type specChanges struct{ regressions, fixes, lost, gained, other, added, removed []Change }

// wasToRun reports whether a spec with this outcome was to run.
func wasToRun(o spec.Outcome) bool {
	return o != "" && o != spec.Skipped && o != spec.NotApplicable
}

func compareSpecs(a, b Document) specChanges {
	var c specChanges
	before := map[string]SpecResult{}
	for _, s := range a.Specs {
		before[s.ID] = s
	}
	for _, now := range b.Specs {
		was, there := before[now.ID]
		delete(before, now.ID)
		change := Change{What: now.ID, Old: string(was.Outcome), New: string(now.Outcome), Note: now.Reason}
		from, to := wasToRun(was.Outcome), wasToRun(now.Outcome)
		// What an undetermined spec would have said is not known, so that
		// its failure later is no regression.
		met := was.Outcome == spec.Passed || was.Outcome == spec.Leaked
		switch {
		case !there:
			c.added = append(c.added, Change{What: now.ID, New: string(now.Outcome), Note: now.Title})
		case was.Outcome == now.Outcome:
		case from && !to:
			c.lost = append(c.lost, change)
		case to && !from:
			c.gained = append(c.gained, change)
		case met && now.Outcome.Compare(was.Outcome) < 0:
			c.regressions = append(c.regressions, change)
		case now.Outcome == spec.Passed:
			c.fixes = append(c.fixes, change)
		default:
			c.other = append(c.other, change)
		}
	}
	for _, id := range sortedKeys(before) {
		c.removed = append(c.removed, Change{What: id, Old: string(before[id].Outcome), Note: before[id].Title})
	}
	return c
}

func compareCoverage(a, b Document) (gained, lost []Change) {
	before, after := a.covered(b), b.covered(a)
	for _, now := range after {
		i := slices.IndexFunc(before, func(c coverage) bool { return c.what == now.what })
		was := coverage{}
		if i >= 0 {
			was = before[i]
			before = slices.Delete(before, i, i+1)
		}
		switch {
		case len(was.specs) == 0 && len(now.specs) > 0:
			gained = append(gained, Change{What: now.what, New: words(now.specs), Note: now.text})
		case len(was.specs) > 0 && len(now.specs) == 0:
			lost = append(lost, Change{What: now.what, Old: words(was.specs), Note: now.why})
		}
	}
	slices.SortFunc(before, func(a, b coverage) int { return strings.Compare(a.what, b.what) })
	for _, was := range before {
		if len(was.specs) > 0 {
			lost = append(lost, Change{What: was.what, Old: words(was.specs), Note: "the requirement is gone"})
		}
	}
	return gained, lost
}

// coverage is that of a requirement, or of one in a mode.
type coverage struct {
	what, text string
	specs      []string
	why        string // there are none
}

// covered is by mode, unless d or the other report was written before reports
// had modes.
func (d Document) covered(other Document) []coverage {
	var all []coverage
	for _, r := range d.Requirements {
		if !d.hasModes() || !other.hasModes() {
			all = append(all, coverage{string(r.ID), r.Text, r.Specs, r.Uncovered})
			continue
		}
		for _, m := range r.Modes {
			all = append(all, coverage{fmt.Sprintf("%s (%s)", r.ID, m.Profile), r.Text, m.Specs, r.WhyUnexamined(m.Profile)})
		}
	}
	return all
}

func (d Document) hasModes() bool {
	return slices.ContainsFunc(d.Requirements, func(r RequirementResult) bool { return len(r.Modes) > 0 })
}

func compareFacts(a, b Document) []Change {
	before, after := factsByName(a), factsByName(b)
	all := maps.Clone(before)
	maps.Copy(all, after)
	var changes []Change
	for _, key := range sortedKeys(all) {
		if before[key] != after[key] {
			changes = append(changes, Change{What: key, Old: before[key], New: after[key]})
		}
	}
	return changes
}

// factsByName joins the values that a fact has, in no order of their own.
func factsByName(d Document) map[string]string {
	values := map[string][]string{"suite: version": {d.Run.Version}}
	for _, f := range d.Facts {
		key := f.Group + ": " + f.Name
		values[key] = append(values[key], f.Value)
	}
	joined := map[string]string{}
	for key, list := range values {
		slices.Sort(list)
		joined[key] = strings.Join(list, "; ")
	}
	return joined
}

// medians are those of the waits of a name that came to their state, if there
// are enough of them.
func medians(d Document) map[wait.Name]time.Duration {
	took := map[wait.Name][]time.Duration{}
	add := func(records []wait.Record) {
		for _, w := range records {
			if w.Done {
				took[w.Name] = append(took[w.Name], w.Took)
			}
		}
	}
	add(d.Waits)
	for _, s := range d.Specs {
		add(s.Waits)
	}
	m := map[wait.Name]time.Duration{}
	for name, list := range took {
		if n := len(list); n >= slowerCount {
			slices.Sort(list)
			m[name] = (list[(n-1)/2] + list[n/2]) / 2
		}
	}
	return m
}

func compareWaits(a, b Document) []Change {
	before, after := medians(a), medians(b)
	var changes []Change
	for _, name := range sortedKeys(after) {
		was, ok := before[name]
		now := after[name]
		if ok && now-was >= slowerAbove && float64(now) >= slowerBy*float64(was) {
			changes = append(changes, Change{What: string(name), Old: tenths(was), New: tenths(now), Note: times(float64(now), float64(was))})
		}
	}
	return changes
}

func tenths(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// times is how often b goes into a.
func times(a, b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f times", a/b)
}

// tail is the percentile of latencies that is compared.
const tail = 99

// compareRatios compares the ratios to the control, which depend less on the
// machine than what they were made of.
func compareRatios(what string, was, now Benchmark) []Change {
	var changes []Change
	for _, c := range now.Comparisons {
		i := slices.IndexFunc(was.Comparisons, func(o Comparison) bool { return o.Metric == c.Metric })
		if i < 0 || c.Pairs == 0 || was.Comparisons[i].Pairs == 0 {
			continue
		}
		before := was.Comparisons[i]
		note := "no change shown"
		switch {
		case len(was.Invalid) > 0 || len(now.Invalid) > 0:
			note = "in doubt"
		case c.High < before.Low && c.Better == Higher, c.Low > before.High && c.Better == Lower:
			note = "worse"
		case c.High < before.Low, c.Low > before.High:
			note = "better"
		}
		changes = append(changes, Change{What: what + " " + c.Metric + ", ratio to the control", Old: before.Range(), New: c.Range(), Note: note})
	}
	return changes
}

func compareBenchmarks(a, b Document) []Change {
	type key struct {
		name    string
		profile spec.Profile
	}
	before := map[key]Benchmark{}
	for _, m := range a.Benchmarks {
		before[key{m.Name, m.Profile}] = m
	}
	var changes []Change
	for _, now := range b.Benchmarks {
		was, ok := before[key{now.Name, now.Profile}]
		if !ok {
			continue
		}
		what := fmt.Sprintf("%s (%s)", now.Name, now.Profile)
		if ratios := compareRatios(what, was, now); len(ratios) > 0 {
			changes = append(changes, ratios...) // figures of two runs would say less
			continue
		}
		if !was.Rated() || !now.Rated() {
			continue // curves are to be looked at
		}
		changes = append(changes, Change{What: what + " throughput", Old: fmt.Sprintf("%.0f/s", was.PerSecond()),
			New: fmt.Sprintf("%.0f/s", now.PerSecond()), Note: times(now.PerSecond(), was.PerSecond())})
		for _, l := range now.Latencies {
			i := slices.IndexFunc(was.Latencies, func(o LatencyOfRequest) bool { return o.Request == l.Request })
			if i < 0 {
				continue
			}
			from, had := was.Latencies[i].At(tail)
			if to, has := l.At(tail); had && has {
				changes = append(changes, Change{What: fmt.Sprintf("%s p%d of %s", what, tail, l.Request),
					Old: from.String(), New: to.String(), Note: times(float64(to), float64(from))})
			}
		}
	}
	return changes
}
