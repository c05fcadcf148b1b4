// Package framework wires specs into Ginkgo and hands each of them what it
// needs: a cluster, a namespace of its own, a ledger, and a way to state what
// was expected and observed. What happens is told as events of package report.
package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Limits of the parts around a spec's body, at wait scale 1.
const (
	backstop      = 30 * time.Second // for a body that does not end with its budget
	setUpLimit    = 2 * time.Minute
	evidenceLimit = 90 * time.Second
	cleanUpLimit  = 4 * time.Minute
	leaksLimit    = 2 * time.Minute
	lostLimit     = 20 * time.Second // of the clean-up on a cluster that does not answer
	removalLimit  = 3 * time.Minute  // of all namespaces, at the end of the suite
)

const title = "memcached on persistent memory"

// Ginkgo's tree of specs is global, and so is what belongs to it.
var (
	specs   []spec.Spec // of every call of It
	current *suite      // the run that Ginkgo is in
)

type suite struct {
	config  config.Config
	cluster *cluster.Cluster
	events  *events
	leaks   *watcher

	env *Env // of the spec that runs

	// Kubernetes takes some seconds to remove an empty namespace. They are
	// removed beside the next specs and awaited at the end.
	removals  sync.WaitGroup
	mu        sync.Mutex
	leftovers []error
}

// Specs returns what was passed to It so far, in an order of no meaning.
func Specs() []spec.Spec { return append([]spec.Spec(nil), specs...) }

// List writes what there is to run, and which of it Ginkgo's flags select,
// into the file at path. Nothing is run.
func List(t *testing.T, path string) {
	t.Helper()
	if err := spec.ValidateAll(specs); err != nil {
		t.Fatal(err)
	}
	listing := spec.Listing{Specs: Specs()}
	for _, s := range ginkgo.PreviewSpecs(title).SpecReports {
		listing.Labels = append(listing.Labels, s.Labels()...)
		if s.State.Is(types.SpecStatePassed) {
			listing.Selected = append(listing.Selected, s.LeafNodeLabels[0]) // Spec.Labels starts with the id
		}
	}
	slices.Sort(listing.Labels)
	listing.Labels = slices.Compact(listing.Labels)
	data, err := json.Marshal(listing)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Run validates the specs and runs those that Ginkgo's flags select, with the
// configuration in the file at path.
func Run(t *testing.T, path string) {
	t.Helper()
	if err := spec.ValidateAll(specs); err != nil {
		t.Fatal(err)
	}
	c, err := config.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := openEvents(c.Events)
	if err != nil {
		t.Fatal(err)
	}
	current = &suite{config: c, events: stream}
	ginkgo.BeforeSuite(current.setUp, ginkgo.NodeTimeout(scaled(setUpLimit)))
	ginkgo.ReportAfterEach(current.specEnded)
	ginkgo.ReportAfterSuite("the end", current.suiteEnded)
	ginkgo.RunSpecs(t, title)
	if err := stream.close(); err != nil {
		t.Error(err)
	}
}

// scaled is d when the tree is only looked at.
func scaled(d time.Duration) time.Duration {
	if current == nil {
		return d
	}
	return time.Duration(float64(d) * current.config.WaitScale.Max())
}

func (s *suite) setUp(ctx ginkgo.SpecContext) {
	config, _ := ginkgo.GinkgoConfiguration()
	s.events.emit(report.Event{Kind: report.SuiteStarted, Text: fmt.Sprint(config.RandomSeed)})
	c, err := cluster.Connect(ctx, s.config.Cluster.Kubeconfig, s.config.Cluster.Context)
	if err != nil {
		ginkgo.Fail(fmt.Sprintf("connect to the cluster: %v", err))
	}
	if c.Power, err = power(s.config); err != nil {
		ginkgo.Fail(err.Error())
	}
	s.cluster = c
	s.leaks = newWatcher(s)
	s.leaks.begin(ctx)
	ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) error {
		removals := s.awaitRemovals(ctx)
		s.leaks.finish(ctx)
		return removals
	}, ginkgo.NodeTimeout(scaled(removalLimit+leaksLimit)))
}

// suiteEnded tells what went wrong outside of the specs.
func (s *suite) suiteEnded(r ginkgo.Report) {
	trouble := func(text string) { s.events.emit(report.Event{Kind: report.TroubleMet, Text: text}) }
	for _, sr := range r.SpecReports {
		if sr.LeafNodeType != types.NodeTypeIt && sr.Failed() {
			trouble(fmt.Sprintf("%s %s: %s", sr.LeafNodeType, sr.State, firstLine(sr.Failure.Message)))
		}
	}
	if r.SuiteHasProgrammaticFocus {
		trouble("the suite's code focuses single specs, so the others cannot run")
	}
	for _, reason := range r.SpecialSuiteFailureReasons {
		trouble(firstLine(reason))
	}
	s.events.emit(report.Event{Kind: report.SuiteEnded})
}

// removeLater closes l beside what comes next; awaitRemovals has its error.
func (s *suite) removeLater(l *ledger.Ledger) {
	s.removals.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), scaled(removalLimit))
		defer cancel()
		if err := l.Close(ctx); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.leftovers = append(s.leftovers, err)
		}
	})
}

func (s *suite) awaitRemovals(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		s.removals.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("the namespaces of the specs were not removed in time: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.leftovers...)
}
