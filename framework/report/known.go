package report

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// knownEntry is what the user writes about a known failure.
type knownEntry struct {
	Spec        string     `yaml:"spec"`
	Requirement spec.ReqID `yaml:"requirement"`
	Link        string     `yaml:"link"`
	Expires     string     `yaml:"expires"`
	Reason      string     `yaml:"reason"`
}

// ReadKnown reads the file of known failures at path: a list of entries with
// spec, requirement, link, expires (the last day) and reason. Entries that are
// malformed, expired, twice there, or about what the catalogue does not have
// are errors that name file, line, key, value and remedy; all are told. A file
// may well be empty.
func ReadKnown(path string, today time.Time, c spec.Catalogue) ([]KnownFailure, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the known failures: %w", err)
	}
	var known []KnownFailure
	err = readList(path, data, func(e knownEntry, at map[string]int, line int) (errs []error) {
		for _, d := range e.defects(today, c) {
			errs = append(errs, fmt.Errorf("%s:%d: %s is %q: %s", path, at[d.key], d.key, d.value, d.remedy))
		}
		k := KnownFailure{Spec: e.Spec, Requirement: e.Requirement, Link: e.Link, Expires: e.Expires, Reason: e.Reason, Line: line}
		same := func(o KnownFailure) bool { return o.Spec == k.Spec && o.Requirement == k.Requirement }
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

func (e knownEntry) defects(today time.Time, c spec.Catalogue) []defect {
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
		bad("requirement", string(e.Requirement), "spec %s does not cover it; it covers %s", e.Spec, words(c.Specs[i].Covers))
	}
	if !isLink(e.Link) {
		bad("link", e.Link, "give the address where the failure is followed up, such as https://example.org/issues/1")
	}
	if day, err := time.ParseInLocation(time.DateOnly, e.Expires, today.Location()); err != nil {
		bad("expires", e.Expires, "give the last day on which the failure is accepted, such as 2006-01-02")
	} else if !today.Before(day.AddDate(0, 0, 1)) {
		bad("expires", e.Expires, "the entry has expired, today is %s; mend what fails, or decide anew and give a later day", today.Format(time.DateOnly))
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

// accept marks the specs whose failure is known, and tells which of the known
// failures were seen.
func (d *Document) accept() {
	levels := d.levels()
	d.Known = slices.Clone(d.Known)
	for i := range d.Known {
		d.Known[i].Met = nil
	}
	for i := range d.Specs {
		s := &d.Specs[i]
		s.Known = ""
		links := map[spec.ReqID]string{}
		for j := range d.Known {
			k := &d.Known[j]
			if k.Spec != s.ID {
				continue
			}
			links[k.Requirement] = k.Link
			switch s.fate(k.Requirement) {
			case spec.Failed:
				k.Met = new(true)
			case spec.Passed:
				k.Met = new(false)
			}
		}
		s.Known = s.accepted(levels, links)
	}
}

// accepted is the link of the first known failure when s fails no MUST but
// those that have a link, or nothing but SHOULDs that all have one.
func (s SpecResult) accepted(levels map[spec.ReqID]spec.Level, links map[spec.ReqID]string) string {
	broken := s.failedMusts(levels)
	if len(broken) == 0 {
		broken = s.violated()
	}
	if s.Outcome != spec.Failed || len(broken) == 0 {
		return ""
	}
	for _, req := range broken {
		if links[req] == "" {
			return ""
		}
	}
	return links[broken[0]]
}
