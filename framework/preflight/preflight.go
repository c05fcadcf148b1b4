// Package preflight examines, before any spec runs, whether the cluster has
// what the specs need, so that a lack is reported once and with its remedy.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

// Subject is what is examined.
type Subject struct {
	Cluster   *cluster.Cluster
	Manifests []*deploy.Manifest // with the images that will be used
	Waiter    wait.Waiter
	// Disruptive is set when specs may disrupt nodes.
	Disruptive bool
	// Doing gets what is being examined, from several goroutines; nil: nobody
	// wants to know.
	Doing func(what string)
}

// finding is what a check has to say.
type finding struct {
	state  report.CheckState
	saw    string
	remedy string
	facts  []report.Fact
}

func passed(format string, args ...any) finding {
	return finding{state: report.CheckPassed, saw: oneline.Of(fmt.Sprintf(format, args...))}
}

func failed(remedy, format string, args ...any) finding {
	return finding{state: report.CheckFailed, saw: oneline.Of(fmt.Sprintf(format, args...)), remedy: remedy}
}

func unknown(remedy, format string, args ...any) finding {
	return finding{state: report.CheckUnknown, saw: oneline.Of(fmt.Sprintf(format, args...)), remedy: remedy}
}

// all joins what a check has to say about several things: one that failed
// outweighs one that is unknown, which outweighs one that passed. Only the
// weightiest are reported.
func all(findings ...finding) finding {
	var joined finding
	for _, state := range []report.CheckState{report.CheckFailed, report.CheckUnknown, report.CheckPassed} {
		var saw, remedies []string
		for _, f := range findings {
			if f.state == state {
				saw, remedies = append(saw, f.saw), append(remedies, f.remedy)
			}
		}
		if len(saw) > 0 {
			joined = finding{state: state, saw: strings.Join(unique(saw), "; "), remedy: strings.Join(unique(remedies), "; ")}
			break
		}
	}
	for _, f := range findings {
		joined.facts = append(joined.facts, f.facts...)
	}
	return joined
}

func unique(texts []string) []string {
	var kept []string
	for _, text := range texts {
		if text != "" && !slices.Contains(kept, text) {
			kept = append(kept, text)
		}
	}
	return kept
}

type check struct {
	name string
	run  func(context.Context, Subject) finding
}

var checks = []check{
	{"api", checkAPI},
	{"rights", checkPermissions},
	{"driver", checkDriver},
	{"class", checkClass},
	{"pmem", checkPMEM},
	{"images", checkImages},
}

// Names lists the checks.
func Names() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// ValidateSkips refuses names that are not those of checks.
func ValidateSkips(skip []string) error {
	var errs []error
	for _, name := range skip {
		if !slices.Contains(Names(), name) {
			errs = append(errs, fmt.Errorf("%q is no check; did you mean %s? There are %s", name, nearest.To(name, Names()), strings.Join(Names(), ", ")))
		}
	}
	return errors.Join(errs...)
}

// Run examines everything but what skip names, all at once, and returns the
// checks in their order, and the facts that came up. It continues after a
// failure. What ctx has cut short is unknown.
func Run(ctx context.Context, s Subject, skip []string) ([]report.Check, []report.Fact) {
	return run(ctx, checks, s, skip)
}

func run(ctx context.Context, checks []check, s Subject, skip []string) ([]report.Check, []report.Fact) {
	results := make([]report.Check, len(checks))
	facts := make([][]report.Fact, len(checks))
	var running sync.WaitGroup
	p := progress{doing: s.Doing}
	for _, c := range checks {
		if !slices.Contains(skip, c.name) {
			p.names = append(p.names, c.name)
		}
	}
	p.show()
	for i, c := range checks {
		if slices.Contains(skip, c.name) {
			results[i] = report.Check{Name: c.name, State: report.CheckSkipped, Saw: "left out on request",
				Remedy: "run without " + c.name + " in SKIP_PREFLIGHT to have it examined"}
			continue
		}
		running.Go(func() {
			start := time.Now()
			f := c.examine(ctx, s)
			results[i] = report.Check{Name: c.name, State: f.state, Saw: f.saw, Remedy: f.remedy, Took: time.Since(start)}
			facts[i] = f.facts
			p.ended(c.name)
		})
	}
	running.Wait()
	return results, slices.Concat(facts...)
}

// progress knows which checks have not ended.
type progress struct {
	mu    sync.Mutex
	names []string
	doing func(what string)
}

func (p *progress) ended(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names = slices.DeleteFunc(p.names, func(n string) bool { return n == name })
	p.show()
}

func (p *progress) show() {
	if p.doing != nil && len(p.names) > 0 {
		p.doing(strings.Join(p.names, ", "))
	}
}

const (
	notAsked = "run again; this says nothing about the cluster"
	broken   = "report this as a defect of the suite; SKIP_PREFLIGHT leaves the check out"
)

// examine makes what a check could not finish unknown.
func (c check) examine(ctx context.Context, s Subject) (f finding) {
	defer func() {
		if p := recover(); p != nil {
			f = unknown(broken, "the check itself broke: %v", p)
		}
	}()
	f = c.run(ctx, s)
	if ctx.Err() != nil && f.state != report.CheckPassed {
		f = unknown(notAsked, "the check was cut short: %v; it last saw: %s", context.Cause(ctx), f.saw)
	}
	return f
}

// Failed describes the checks that failed; nil when none did.
func Failed(checks []report.Check) error {
	var errs []error
	for _, c := range checks {
		if c.State == report.CheckFailed {
			errs = append(errs, fmt.Errorf("check %s: %s; %s (SKIP_PREFLIGHT=%s leaves the check out)", c.Name, c.Saw, c.Remedy, c.Name))
		}
	}
	return errors.Join(errs...)
}

func checkAPI(ctx context.Context, s Subject) finding {
	version, err := s.Cluster.ServerVersion(ctx)
	if err != nil {
		return failed("see that the cluster runs and that the kubeconfig is its", "%v", err)
	}
	return passed("Kubernetes %s", version.GitVersion)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
