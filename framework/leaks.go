package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/leak"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

// watcher compares what there is on the cluster before and after each spec,
// and before and after all of them.
type watcher struct {
	suite *suite
	first leak.Snapshot // before all specs
	last  leak.Snapshot // before the spec that runs
	begun bool          // a snapshot could be taken
	owned bool          // other processes or other runs run specs, so that only what belongs to this one's counts

	mu         sync.Mutex
	namespaces []string // that the specs have made
	removing   []string // those that are being removed
	reported   []report.Leak
}

func newWatcher(s *suite) *watcher {
	return &watcher{suite: s, owned: s.lane != nil || s.config.Shared}
}

func (w *watcher) scope() leak.Scope {
	w.mu.Lock()
	defer w.mu.Unlock()
	return leak.Scope{
		Namespaces: slices.Clone(w.namespaces), Removing: slices.Clone(w.removing),
		Owned: w.owned, Exclusive: !w.owned && w.suite.config.OwnsCluster(),
	}
}

// made records a namespace that a spec has made; it is removed sooner or
// later, and until then what is in it is no leak.
func (w *watcher) made(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.namespaces = append(w.namespaces, namespace)
	w.removing = append(w.removing, namespace)
}

func (w *watcher) begin(ctx context.Context) {
	scope := w.scope()
	if w.suite.config.Lane == 0 {
		scope = w.whole(scope)
	}
	snapshot, err := leak.Take(ctx, w.suite.cluster, scope)
	if err != nil {
		w.uncompared(err)
		return
	}
	w.first, w.last, w.begun = snapshot, snapshot, true
}

// whole is scope for a comparison while no other process of the run runs specs.
func (w *watcher) whole(scope leak.Scope) leak.Scope {
	if w.suite.config.Shared {
		return scope
	}
	scope.Owned, scope.Exclusive = false, w.suite.config.OwnsCluster()
	return scope
}

// alone begins the comparisons again when no other process runs specs any more.
// What those have left behind is reported by finish.
func (w *watcher) alone(ctx context.Context) {
	if !w.begun || !w.owned || w.suite.config.Shared {
		return
	}
	w.owned = false
	snapshot, err := leak.Take(ctx, w.suite.cluster, w.scope())
	if err != nil {
		w.uncompared(err)
		return
	}
	w.last = snapshot
}

// uncompared reports what is not watched, so that nobody takes silence for
// cleanliness.
func (w *watcher) uncompared(err error) {
	w.suite.events.emit(report.Event{Kind: report.Uncompared, Text: oneline.First(err.Error())})
}

// since returns what was left behind since the spec began. What it cannot
// compare is compared after the next spec, and by finish.
func (w *watcher) since(ctx context.Context, waiter wait.Waiter) []report.Leak {
	if !w.begun {
		return nil
	}
	scope := w.scope()
	after, leaks, err := leak.Settle(ctx, waiter, w.take(scope), w.last, scope)
	if err != nil {
		return nil
	}
	w.last = after
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, leaks...)
	return leaks
}

func (w *watcher) take(scope leak.Scope) func(context.Context) (leak.Snapshot, error) {
	return func(ctx context.Context) (leak.Snapshot, error) { return leak.Take(ctx, w.suite.cluster, scope) }
}

// finish compares with what was there before all specs, when all namespaces
// should be gone, and reports what no spec has reported.
func (w *watcher) finish(ctx context.Context) {
	if !w.begun {
		return
	}
	w.mu.Lock()
	w.removing = nil
	w.mu.Unlock()
	scope := w.scope()
	if w.suite.config.Lane == 0 {
		scope = w.whole(scope)
	}
	waiter := wait.Waiter{Scale: w.suite.config.WaitScale, Final: fault.Lasting, Begin: w.suite.waitBegan, Observe: w.suite.waitEnded}
	after, leaks, err := leak.Settle(ctx, waiter, w.take(scope), w.first, scope)
	if err != nil {
		w.uncompared(err)
		return
	}
	for _, text := range leak.Uncompared(w.first, after) {
		w.uncompared(errors.New(text))
	}
	for _, l := range leaks {
		reported := func(o report.Leak) bool { return o.Place() == l.Place() }
		if !slices.ContainsFunc(w.reported, reported) {
			w.suite.events.emit(report.Event{Kind: report.LeakFound, Leak: &l})
		}
	}
}

func (s *suite) waitBegan(r wait.Record) {
	s.events.emit(report.Event{Kind: report.WaitStarted, Wait: &r})
}

func (s *suite) waitEnded(r wait.Record) {
	s.events.emit(report.Event{Kind: report.WaitEnded, Wait: &r})
}

// findLeaks runs when everything of the spec but its namespaces is removed. A
// cluster that is lost is not asked.
func (e *Env) findLeaks(ctx ginkgo.SpecContext) {
	if e.lost == nil && !ginkgo.CurrentSpecReport().State.Is(interrupted) {
		e.leftovers = append(e.leftovers, e.suite.leaks.since(ctx, e.Waiter)...)
	}
	e.earlier = e.suite.leaked[e.Spec.ID]
	e.suite.leaked[e.Spec.ID] = slices.Concat(e.earlier, e.leftovers)
	if len(e.leftovers) > 0 {
		ginkgo.Fail(fmt.Sprintf("left behind: %d, first %s", len(e.leftovers), e.leftovers[0]))
	}
}

// leftover records what could not be removed.
func (e *Env) leftover(err error) {
	for _, r := range ledger.RemovalErrors(err) {
		e.leftovers = append(e.leftovers, report.Leak{View: string(leak.API), Where: e.Namespace, What: r.What, Detail: oneline.First(r.Err.Error())})
	}
	if len(e.leftovers) == 0 {
		e.leftovers = append(e.leftovers, report.Leak{View: string(leak.API), Where: e.Namespace, What: "clean-up", Detail: oneline.First(err.Error())})
	}
}
