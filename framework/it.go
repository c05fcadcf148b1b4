package framework

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/evidence"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// It registers a spec. The body gets its budget and not more; the set-up
// before and the evidence and removal after it have limits of their own, so
// that a body that uses up its budget is still cleaned up after. Whether the
// spec passes is decided by [report.Ending].
func It(s spec.Spec, body func(context.Context, *Env)) bool {
	return register(s, body, types.NewCodeLocation(1))
}

// ItEach registers a spec for each mode of a table, see [spec.Spec.In]; the body
// finds its mode in e.Spec.Profile.
func ItEach(modes []spec.Spec, body func(context.Context, *Env)) bool {
	location := types.NewCodeLocation(1)
	for _, s := range modes {
		register(s, body, location)
	}
	return true
}

func register(s spec.Spec, body func(context.Context, *Env), location types.CodeLocation) bool {
	registered.specs = append(registered.specs, s)
	// The closure runs when the tree is built, after flags were read.
	return ginkgo.Describe("", func() {
		var env *Env
		suite := registered.suite
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			if why, ok := suite.config.LeftOut[s.ID]; ok {
				ginkgo.Skip(why) // the runner has decided so, and reports it
			}
			suite.awaitTurn(ctx, s)
		})
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			env = newEnv(suite, s)
			env.Cluster = suite.examined(ctx, env.dir(s.Profile))
			suite.env, env.before = env, env.Cluster.Tally.Now()
			env.emit(report.Event{Kind: report.SpecStarted})
			ginkgo.DeferCleanup(env.findLeaks, ginkgo.NodeTimeout(suite.scaled(leaksLimit)))
			ginkgo.DeferCleanup(func() { suite.removeLater(&env.namespaces) })
			ginkgo.DeferCleanup(env.cleanUp, ginkgo.NodeTimeout(suite.scaled(cleanUpLimit)))
			ginkgo.DeferCleanup(env.collectEvidence, ginkgo.NodeTimeout(suite.scaled(evidenceLimit)))
			env.MakeNamespace(ctx, env.Namespace)
		}, ginkgo.NodeTimeout(suite.scaled(setUpLimit)))

		ginkgo.It(s.ID+" "+s.Title, func(ctx ginkgo.SpecContext) {
			limited, cancel := context.WithTimeoutCause(ctx, suite.scaled(s.Budget),
				fmt.Errorf("the spec's budget of %s is used up", suite.scaled(s.Budget)))
			defer cancel()
			env.began = true
			body(limited, env)
			env.finish()
		}, ginkgo.Label(s.Labels()...), location, ginkgo.NodeTimeout(suite.scaled(s.Budget+backstop)))
	}, location, order(s))
}

// order has the specs that run alone come last.
func order(s spec.Spec) ginkgo.SpecPriority {
	if s.RunsAlone() {
		return 0
	}
	return 1
}

// collectEvidence runs while the spec's objects still exist.
func (e *Env) collectEvidence(ctx ginkgo.SpecContext) {
	result := ginkgo.CurrentSpecReport()
	if !result.Failed() || result.State.Is(types.SpecStateInterrupted) || e.foreseen(result.State) {
		return
	}
	if _, err := e.Cluster.ServerVersion(ctx); err != nil {
		e.lost = err
		return
	}
	if err := evidence.Collect(ctx, e.Cluster, e.suite.secrets, e.evidenceDir(), e.used); err != nil {
		e.Note("evidence", "%s", err) // the spec has failed for another reason
	}
	e.evidence = evidenceOf(e.Spec.ID)
}

// foreseen reports whether the spec has failed for requirements alone of which the run knows that they are not met.
func (e *Env) foreseen(state types.SpecState) bool {
	failures := e.failuresSoFar()
	return state == types.SpecStateFailed && len(failures) > 0 && !slices.ContainsFunc(failures, func(f report.Failure) bool {
		return !slices.Contains(e.Config.Foreseen, f.Requirement)
	})
}

// cleanUp does not wait long for a cluster that does not answer.
func (e *Env) cleanUp(ctx ginkgo.SpecContext) {
	limited := context.Context(ctx)
	if e.lost != nil {
		var cancel func()
		limited, cancel = context.WithTimeout(ctx, e.suite.scaled(lostLimit))
		defer cancel()
	}
	e.Cluster.CloseSessions(e.used...)
	if err := e.Ledger.Close(limited); err != nil {
		e.leftover(err)
	}
}

func (e *Env) evidenceDir() string {
	return filepath.Join(e.Config.ReportDir, filepath.FromSlash(evidenceOf(e.Spec.ID)))
}

// evidenceOf is the directory of a spec's evidence, relative to the report.
func evidenceOf(id string) string { return path.Join("evidence", id) }
