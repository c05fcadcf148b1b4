// Package userfile reads what a user says about the outcome of a run: known
// failures and the baseline of benchmarks.
package userfile

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// KnownEntry is what the user writes about a known failure: it is accepted until
// a date.
type KnownEntry struct {
	Spec        string     `yaml:"spec" jsonschema:"minLength=1"`        // id of the spec that fails
	Requirement spec.ReqID `yaml:"requirement" jsonschema:"minLength=1"` // that is not met
	Link        string     `yaml:"link" jsonschema:"pattern=^https?://"` // where the failure is followed up
	Expires     string     `yaml:"expires" jsonschema:"format=date"`     // the last day on which it is accepted
	Reason      string     `yaml:"reason" jsonschema:"minLength=1"`      // why it is accepted
}

// Known reads the file of known failures at path: a list of entries with
// spec, requirement, link, expires (the last day) and reason. Entries that are
// malformed, expired, twice there, or about what the catalogue does not have
// are errors that name file, line, key, value and remedy; all are reported. A
// file may well be empty.
func Known(path string, today time.Time, c spec.Catalogue) ([]report.KnownFailure, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the known failures: %w", err)
	}
	var known []report.KnownFailure
	err = strictyaml.ReadList(path, data, func(e KnownEntry, at map[string]int, line int) (errs []error) {
		for _, d := range e.defects(today, c) {
			errs = append(errs, fmt.Errorf("%s:%d: %s is %q: %s", path, at[d.key], d.key, d.value, d.remedy))
		}
		k := report.KnownFailure{Spec: e.Spec, Requirement: e.Requirement, Link: e.Link, Expires: e.Expires, Reason: e.Reason, Line: line}
		same := func(o report.KnownFailure) bool { return o.Spec == k.Spec && o.Requirement == k.Requirement }
		if other := slices.IndexFunc(known, same); other >= 0 {
			errs = append(errs, fmt.Errorf("%s:%d: requirement is %q: the entry at line %d has it for %s already; remove one", path, at["requirement"], k.Requirement, known[other].Line, k.Spec))
		}
		known = append(known, k)
		return errs
	})
	if err != nil {
		return nil, err
	}
	return known, nil
}

type defect struct{ key, value, remedy string }

func (e KnownEntry) defects(today time.Time, c spec.Catalogue) []defect {
	var found []defect
	bad := func(key, value, format string, args ...any) {
		found = append(found, defect{key, value, fmt.Sprintf(format, args...)})
	}
	i := slices.IndexFunc(c.Specs, func(s spec.Spec) bool { return s.ID == e.Spec })
	if i < 0 {
		bad("spec", e.Spec, "there is no such spec; take an id from the catalogue")
	}
	if _, ok := c.Requirement(e.Requirement); !ok {
		bad("requirement", string(e.Requirement), "there is no such requirement; take an id from the catalogue")
	} else if i >= 0 && !slices.Contains(c.Specs[i].Covers, e.Requirement) {
		bad("requirement", string(e.Requirement), "spec %s does not cover it; it covers %s", e.Spec, joined(c.Specs[i].Covers))
	}
	if !isLink(e.Link) {
		bad("link", e.Link, "give the address where the failure is followed up, such as https://example.org/issues/1")
	}
	if day, err := time.ParseInLocation(time.DateOnly, e.Expires, today.Location()); err != nil {
		bad("expires", e.Expires, "give the last day on which the failure is accepted, such as 2006-01-02")
	} else if !today.Before(day.AddDate(0, 0, 1)) {
		bad("expires", e.Expires, "the entry has expired, today is %s; mend what fails, or decide again and give a later day", today.Format(time.DateOnly))
	}
	if oneline.Of(e.Reason) == "" {
		bad("reason", e.Reason, "say why the failure is accepted")
	}
	return found
}

func isLink(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func joined(ids []spec.ReqID) string {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = string(id)
	}
	return strings.Join(text, ", ")
}
