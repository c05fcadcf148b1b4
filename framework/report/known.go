package report

import (
	"slices"

	"pmem-memcached-e2e/framework/spec"
)

// accept marks the specs whose failure is known, and which of the known
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
