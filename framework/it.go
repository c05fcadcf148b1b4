package framework

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/evidence"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// It registers a spec. The body gets its budget and not more; the set-up
// before and the evidence and removal after it have limits of their own, so
// that a body that uses up its budget is still cleaned up after. The spec
// fails when a requirement is not met, when one that it covers was not
// examined, and when something it made could not be removed.
func It(s spec.Spec, body func(context.Context, *Env)) bool {
	specs = append(specs, s)
	location := types.NewCodeLocation(1)
	// The closure runs when the tree is built, after flags were read.
	return ginkgo.Describe("", func() {
		var env *Env
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			env = newEnv(current, s)
			ginkgo.DeferCleanup(env.reportWaits)
			ginkgo.DeferCleanup(func() { current.removeLater(&env.namespaces) })
			ginkgo.DeferCleanup(env.cleanUp, ginkgo.NodeTimeout(scaled(cleanUpLimit)))
			ginkgo.DeferCleanup(env.collectEvidence, ginkgo.NodeTimeout(scaled(evidenceLimit)))
			env.MakeNamespace(ctx, env.Namespace)
		}, ginkgo.NodeTimeout(scaled(setUpLimit)))

		ginkgo.It(s.ID+" "+s.Title, func(ctx ginkgo.SpecContext) {
			limited, cancel := context.WithTimeoutCause(ctx, scaled(s.Budget),
				fmt.Errorf("the spec's budget of %s is used up", scaled(s.Budget)))
			defer cancel()
			body(limited, env)
			env.finish()
		}, ginkgo.Label(s.Labels()...), location, ginkgo.NodeTimeout(scaled(s.Budget+backstop)))
	}, location)
}

// collectEvidence runs while the spec's objects still exist.
func (e *Env) collectEvidence(ctx ginkgo.SpecContext) {
	result := ginkgo.CurrentSpecReport()
	if !result.Failed() || result.State.Is(types.SpecStateInterrupted) {
		return
	}
	if _, err := e.Cluster.ServerVersion(ctx); err != nil {
		e.lost = true
		ginkgo.AddReportEntry(report.ClusterLost, err.Error())
		return
	}
	if err := evidence.Collect(ctx, e.Cluster, e.evidenceDir(), e.used); err != nil {
		ginkgo.AddReportEntry("evidence", err.Error()) // the spec has failed for a reason of its own
	}
}

// cleanUp does not wait long for a cluster that does not answer.
func (e *Env) cleanUp(ctx ginkgo.SpecContext) error {
	limited := context.Context(ctx)
	if e.lost {
		var cancel func()
		limited, cancel = context.WithTimeout(ctx, scaled(lostLimit))
		defer cancel()
	}
	return e.Ledger.Close(limited)
}

func (e *Env) evidenceDir() string {
	return filepath.Join(e.Config.ReportDir, "evidence", e.Spec.ID)
}

func (e *Env) reportWaits() {
	e.mu.Lock()
	defer e.mu.Unlock()
	ginkgo.AddReportEntry("waits", e.waits, ginkgo.ReportEntryVisibilityNever)
}
