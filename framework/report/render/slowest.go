package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/report"
)

// slowestSpecs and kindsOfWaits bound what is shown of where the time went.
const (
	slowestSpecs = 10
	kindsOfWaits = 4
)

// slow is a spec with what it waited for.
type slow struct {
	ID, Title string
	Took      time.Duration
	Waited    time.Duration // in all waits; those in parallel count each
	For       string        // kinds of waits, the longest first
}

// slowest lists the specs that took longest, the longest first.
func slowest(doc report.Document) []slow {
	var all []slow
	for _, s := range doc.Specs {
		if s.Attempts == 0 || s.Took <= 0 {
			continue
		}
		one := slow{ID: s.ID, Title: s.Title, Took: s.Took}
		one.Waited, one.For = waitedFor(s)
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b slow) int { return cmp.Compare(b.Took, a.Took) })
	return all[:min(slowestSpecs, len(all))]
}

func waitedFor(s report.SpecResult) (total time.Duration, kinds string) {
	type kind struct {
		name  string
		times int
		took  time.Duration
	}
	var found []kind
	for _, w := range s.Waits {
		total += w.Took
		i := slices.IndexFunc(found, func(k kind) bool { return k.name == string(w.Name) })
		if i < 0 {
			i, found = len(found), append(found, kind{name: string(w.Name)})
		}
		found[i].times++
		found[i].took += w.Took
	}
	slices.SortStableFunc(found, func(a, b kind) int { return cmp.Compare(b.took, a.took) })
	var words []string
	for _, k := range found[:min(kindsOfWaits, len(found))] {
		text := k.name + " " + seconds(k.took)
		if k.times > 1 {
			text += fmt.Sprintf(" (%d)", k.times)
		}
		words = append(words, text)
	}
	if more := len(found) - len(words); more > 0 {
		words = append(words, "…")
	}
	return total, strings.Join(words, ", ")
}
