// Package mutant holds deployments with one fault each as data: what is broken, and which requirement a
// spec has to name when it rejects the deployment. It knows three kinds: overlays that somebody wrote,
// single edits of the manifests that [Edits] lists by rules, and lies of the driver.
package mutant

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/spec"
)

// Mutant is a deployment with one change.
type Mutant struct {
	Name    string
	Mode    spec.Profile
	Overlay string // directory of a kustomization; empty: Edit is what is changed
	Edit    Edit
	Driver  string // lie of the driver, a fault of hack/lying-driver; the deployment is as the manifests have it
	// Rejections are what specs have to find. A mutant without one is equivalent.
	Rejections []Rejection
	Equivalent string   // why nobody can observe the change
	By         []string // specs that have to accept an equivalent
}

// Rejection is how specs fail on a mutant.
type Rejection struct {
	By       []string     `yaml:"by"`                 // ids of the specs
	Violates []spec.ReqID `yaml:"violates"`           // requirements that the failures name
	With     string       `yaml:"with,omitempty"`     // words of the failures
	Expected bool         `yaml:"expected,omitempty"` // by its author; it has not been seen yet
}

// Changed reports in one line what differs from the manifests.
func (m Mutant) Changed() string {
	switch {
	case m.Overlay != "":
		return "overlay " + m.Overlay
	case m.Driver != "":
		return "e2e lab driver " + m.Driver
	}
	return m.Edit.String()
}

// OnLab reports whether only a lab can run the mutant: it lets its driver lie, or has the image of a memcached that lies.
func (m Mutant) OnLab() bool { return m.Driver != "" || m.Lies() }

// Lies reports whether a memcached that lies is in the place of the deployment's own.
func (m Mutant) Lies() bool { return strings.HasPrefix(m.Edit.Is, LyingImage) }

// Specs are the ids of all specs that run on the mutant, each once.
func (m Mutant) Specs() []string {
	ids := slices.Clone(m.By)
	for _, r := range m.Rejections {
		ids = append(ids, r.By...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Validate reports what is wrong with a declaration: a mutant names a requirement in its mode for each of
// its specs, and an equivalent has a reason.
func (m Mutant) Validate(c spec.Catalogue) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("mutant %q: %s", m.Name, fmt.Sprintf(format, args...)))
	}
	switch {
	case len(m.Rejections) == 0 && m.Equivalent == "":
		bad("it has neither a requirement that it violates nor a reason why it is equivalent")
	case len(m.Rejections) > 0 && m.Equivalent != "":
		bad("it violates %s and is said to be equivalent; keep one", m.Rejections[0].Violates)
	}
	if len(m.Specs()) == 0 {
		bad("no spec runs on it; name one in by")
	}
	covered := func(id string) []spec.ReqID {
		i := slices.IndexFunc(c.Specs, func(s spec.Spec) bool { return s.ID == id })
		switch {
		case i < 0:
			bad("by is %q, which is no spec", id)
		case c.Specs[i].Profile != m.Mode:
			bad("spec %s is of the mode %s, want %s", id, c.Specs[i].Profile, m.Mode)
		default:
			return c.Specs[i].Covers
		}
		return nil
	}
	for _, id := range m.By {
		covered(id)
	}
	for _, r := range m.Rejections {
		var all []spec.ReqID
		for _, id := range r.By {
			reqs := covered(id)
			all = append(all, reqs...)
			if reqs != nil && !slices.ContainsFunc(r.Violates, func(req spec.ReqID) bool { return slices.Contains(reqs, req) }) {
				bad("spec %s covers none of %v", id, r.Violates)
			}
		}
		for _, req := range r.Violates {
			if !slices.Contains(all, req) {
				bad("%s is covered by none of %v", req, r.By)
			}
		}
	}
	return errors.Join(errs...)
}

// Violates are the requirements that its rejections name, each once.
func (m Mutant) Violates() []spec.ReqID {
	var all []spec.ReqID
	for _, r := range m.Rejections {
		for _, req := range r.Violates {
			if !slices.Contains(all, req) {
				all = append(all, req)
			}
		}
	}
	return all
}

// Names reports whether a failure of a spec that names a requirement is one that the mutant is to have.
func (m Mutant) Names(id string, req spec.ReqID) bool {
	return slices.ContainsFunc(m.Rejections, func(r Rejection) bool {
		return slices.Contains(r.By, id) && slices.Contains(r.Violates, req)
	})
}
