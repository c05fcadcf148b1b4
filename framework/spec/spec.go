// Package spec holds what is known about a spec before it runs. It is pure
// data: no Kubernetes, no test framework.
package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// ReqID names one requirement, such as RST-01. An id never changes its meaning.
type ReqID string

// Level says how binding the requirements behind a spec are.
type Level string

const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
	Fact   Level = "FACT" // of requirements only: describes the environment, nobody can violate it
)

// Profile is the mode of deployment that a spec examines.
type Profile string

const (
	Ephemeral  Profile = "ephemeral"  // CSI inline volume: the cache lives as long as the pod
	Persistent Profile = "persistent" // claim: the cache outlives the pod
	Driver     Profile = "driver"     // PMEM-CSI as seen by this workload
)

// Profiles lists all of them.
func Profiles() []Profile { return []Profile{Ephemeral, Persistent, Driver} }

func (p Profile) known() bool { return slices.Contains(Profiles(), p) }

// Feature is something a cluster may lack.
type Feature string

const (
	DAX          Feature = "dax"           // volumes are mounted with direct access to PMEM
	InlineVolume Feature = "inline-volume" // the driver makes CSI ephemeral inline volumes
	NodeAccess   Feature = "node-access"   // the driver's node pod can be asked about the node
	// Disruption is the consent of who runs the specs that nodes are cordoned,
	// restarted or filled, and pods of the driver deleted, for a while.
	Disruption Feature = "disruption"
	NodePower  Feature = "node-power" // nodes can be switched off and on
	// OtherMemcached is an image with another release of memcached.
	OtherMemcached Feature = "other-memcached"
	SecondNode     Feature = "second-node" // two nodes with the driver accept pods
)

var features = []Feature{DAX, InlineVolume, NodeAccess, Disruption, NodePower, OtherMemcached, SecondNode}

// BenchmarkTag is the tag of specs that measure. They take long, and run when
// they are asked for.
const BenchmarkTag = "benchmark"

// SmokeTag is the tag of the specs that together are the walk-through of
// PMEM-CSI's documentation in both modes.
const SmokeTag = "smoke"

// Spec describes one spec. The body is next to it, see framework.It.
type Spec struct {
	ID      string        // starts the spec's name; FOCUS and the evidence folder use it
	Title   string        // one sentence that says what holds when the spec passes
	Covers  []ReqID       // requirements that the body examines
	Level   Level         // the most binding level among them
	Profile Profile       // mode of deployment
	Needs   []Feature     // without these the spec cannot run
	Tags    []string      // further labels, such as throughput
	Budget  time.Duration // longest time for the body at wait scale 1
	Alone   bool          // it is about what the whole cluster has, so that no other spec may run in the meantime; see RunsAlone
}

// Mode is what a spec is like in one mode of deployment, where it runs in several.
type Mode struct {
	ID      string
	Profile Profile
	Covers  []ReqID   // in addition to those of all modes
	Needs   []Feature // in addition to those of all modes
}

// In returns s in each of several modes.
func (s Spec) In(modes ...Mode) []Spec {
	specs := make([]Spec, len(modes))
	for i, m := range modes {
		v := s
		v.ID, v.Profile = m.ID, m.Profile
		v.Covers = slices.Concat(s.Covers, m.Covers)
		v.Needs = slices.Concat(s.Needs, m.Needs)
		specs[i] = v
	}
	return specs
}

var (
	reqForm = regexp.MustCompile(`^[A-Z]{2,4}-[0-9]{2}$`)
	idForm  = regexp.MustCompile(`^[A-Z]{2,4}-[0-9A-Z]{2,}$`)
	tagForm = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
)

// Validate reports every defect of s, each with field and value.
func (s Spec) Validate() error {
	var errs []error
	bad := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("spec %q: %s is %q, want %s", s.ID, field, value, want))
	}
	if !idForm.MatchString(s.ID) {
		bad("ID", s.ID, "letters, a dash and a number, such as RST-01")
	}
	if s.Title == "" {
		bad("Title", s.Title, "one sentence")
	}
	if len(s.Covers) == 0 {
		bad("Covers", s.Covers, "at least one requirement")
	}
	seen := map[ReqID]bool{}
	for _, r := range s.Covers {
		if !reqForm.MatchString(string(r)) {
			bad("Covers", r, "a requirement id, such as RST-01")
		}
		if seen[r] {
			bad("Covers", r, "each requirement once")
		}
		seen[r] = true
	}
	if s.Level != Must && s.Level != Should {
		bad("Level", s.Level, "MUST or SHOULD")
	}
	if !s.Profile.known() {
		bad("Profile", s.Profile, "ephemeral, persistent or driver")
	}
	for _, f := range s.Needs {
		if !slices.Contains(features, f) {
			bad("Needs", f, "a known feature")
		}
	}
	for _, t := range s.Tags {
		if !tagForm.MatchString(t) {
			bad("Tags", t, "a lower-case word")
		}
	}
	if s.Budget <= 0 {
		bad("Budget", s.Budget, "a positive duration")
	}
	return errors.Join(errs...)
}

// Measures reports whether s is a benchmark.
func (s Spec) Measures() bool { return slices.Contains(s.Tags, BenchmarkTag) }

// RunsAlone reports whether no other spec may run in the meantime: s says so,
// measures, or disrupts nodes or the driver.
func (s Spec) RunsAlone() bool {
	return s.Alone || s.Measures() || slices.Contains(s.Needs, Disruption) || slices.Contains(s.Needs, NodePower)
}

// Labels are the words by which s can be selected: id, level, profile, tags
// and requirement ids, each once.
func (s Spec) Labels() []string {
	labels := []string{s.ID, string(s.Level), string(s.Profile)}
	labels = append(labels, s.Tags...)
	for _, r := range s.Covers {
		if string(r) != s.ID {
			labels = append(labels, string(r))
		}
	}
	return labels
}

// ValidateAll reports the defects of every spec and ids used twice.
func ValidateAll(specs []Spec) error {
	var errs []error
	seen := map[string]string{}
	for _, s := range specs {
		errs = append(errs, s.Validate())
		if title, ok := seen[s.ID]; ok {
			errs = append(errs, fmt.Errorf("spec %q: ID is used twice, by %q and %q", s.ID, title, s.Title))
		}
		seen[s.ID] = s.Title
	}
	return errors.Join(errs...)
}
