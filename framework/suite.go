// Package framework wires specs into Ginkgo and hands each of them what it
// needs: a cluster, a namespace of its own, a ledger, and a way to state what
// was expected and observed.
package framework

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/spec"
)

// Limits of the parts around a spec's body, at wait scale 1.
const (
	backstop      = 30 * time.Second // for a body that does not end with its budget
	setUpLimit    = 2 * time.Minute
	evidenceLimit = 90 * time.Second
	cleanUpLimit  = 4 * time.Minute
	lostLimit     = 20 * time.Second // of the clean-up on a cluster that does not answer
	removalLimit  = 3 * time.Minute  // of all namespaces, at the end of the suite
)

// Ginkgo's tree of specs is global, and so is what belongs to it.
var (
	specs   []spec.Spec // of every call of It
	current *suite      // the run that Ginkgo is in
)

type suite struct {
	config  config.Config
	cluster *cluster.Cluster

	// Kubernetes takes some seconds to remove an empty namespace. They are
	// removed beside the next specs and awaited at the end.
	removals  sync.WaitGroup
	mu        sync.Mutex
	leftovers []error
}

// Specs returns what was passed to It so far, in an order of no meaning.
func Specs() []spec.Spec { return append([]spec.Spec(nil), specs...) }

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
	current = &suite{config: c}
	ginkgo.BeforeSuite(current.setUp, ginkgo.NodeTimeout(scaled(setUpLimit)))
	ginkgo.RunSpecs(t, "memcached on persistent memory")
}

// scaled is d when the tree is only looked at.
func scaled(d time.Duration) time.Duration {
	if current == nil {
		return d
	}
	return time.Duration(float64(d) * current.config.WaitScale)
}

func (s *suite) setUp(ctx ginkgo.SpecContext) {
	c, err := cluster.Connect(ctx, s.config.Cluster.Kubeconfig, s.config.Cluster.Context)
	if err != nil {
		ginkgo.Fail(fmt.Sprintf("connect to the cluster: %v", err))
	}
	s.cluster = c
	ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) error {
		return s.awaitRemovals(ctx)
	}, ginkgo.NodeTimeout(scaled(removalLimit)))
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
