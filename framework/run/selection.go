package run

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

// list asks the suite for its specs and which of them are selected.
func (s Suite) list(c config.Config) (spec.Listing, error) {
	listing, err := s.List(c)
	_, refused := errors.AsType[*config.FieldError](err)
	switch {
	case refused:
		return spec.Listing{}, &UsageError{err}
	case err != nil:
		return spec.Listing{}, fmt.Errorf("list the specs: %w", err)
	case len(listing.Specs) == 0:
		return spec.Listing{}, errors.New("list the specs: the suite has none")
	case len(listing.Selected) == 0:
		return spec.Listing{}, &UsageError{errors.New(noneSelected(c, listing.Specs))}
	}
	return listing, nil
}

// Reasons why a spec is skipped that belongs to the other kind of run.
const (
	measuresOnly = "a benchmark run has no specs but benchmarks"
	examinesOnly = "benchmarks run with make bench"
)

// outOfScope is why s does not belong to this kind of run; empty when it does.
func outOfScope(c config.Config, s spec.Spec) string {
	switch {
	case c.Admits(s.Measures()):
		return ""
	case s.Measures():
		return examinesOnly
	}
	return measuresOnly
}

// skips says why a spec is skipped.
func skips(c config.Config, listing spec.Listing) func(spec.Spec) string {
	return func(s spec.Spec) string {
		if why := outOfScope(c, s); why != "" || slices.Contains(listing.Selected, s.ID) {
			return why
		}
		return filter(c.Select)
	}
}

func noneSelected(c config.Config, specs []spec.Spec) string {
	n := 0
	for _, s := range specs {
		if outOfScope(c, s) == "" {
			n++
		}
	}
	words, kind := filter(c.Select), "specs"
	if c.Bench {
		words, kind = strings.TrimSpace("BENCH=1 "+words), "benchmarks"
	}
	text := fmt.Sprintf("%s selects none of the %d %s", words, n, kind)
	if !c.Measures() && n < len(specs) {
		text += "; " + examinesOnly
	}
	return text + "; e2e list shows the specs"
}

// filter is what the user selects by, in the user's words.
func filter(sel config.Select) string {
	var parts []string
	if sel.Labels != "" {
		parts = append(parts, fmt.Sprintf("LABELS=%q", sel.Labels))
	}
	if sel.Focus != "" {
		parts = append(parts, fmt.Sprintf("FOCUS=%q", sel.Focus))
	}
	return strings.Join(parts, " with ")
}
