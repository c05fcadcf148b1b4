// Package framework wires specs into Ginkgo and hands each of them what it
// needs: a cluster, a namespace of its own, a ledger, and a way to state what
// was expected and observed. What happens is reported as events of package report.
package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/cluster/tally"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/lane"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
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

// Ginkgo's tree of specs is global: packages add to it while they are
// initialized, long before RunAs knows the configuration. So is what It needs
// for that; it is read when the tree is built, and by nobody else.
var registered = struct {
	specs []spec.Spec // of every call of It
	suite *suite      // of RunAs; without a configuration while the tree is only looked at
}{suite: &suite{}}

type suite struct {
	config  config.Config
	power   cluster.NodePower // nil: nothing switches the nodes
	cluster *cluster.Cluster
	events  *events
	secrets *redact.Redactor // removes secrets from what is recorded
	leaks   *watcher
	lane    *lane.Client // nil: the process runs all specs

	env    *Env                     // of the spec that runs
	leaked map[string][]report.Leak // by spec: of its earlier attempts

	requirements map[spec.ReqID]spec.Requirement

	manifests sync.Map // by directory
	helpers   sync.Map // images of the suite's own pods, by what there is to choose from

	// Kubernetes takes some seconds to remove an empty namespace. They are
	// removed during the next specs and awaited at the end.
	removals  sync.WaitGroup
	mu        sync.Mutex
	leftovers []error
}

// manifest is a kustomization as it is written, rendered once. One that does not render is nil, which the specs report.
func (s *suite) manifest(dir string) *deploy.Manifest {
	if m, ok := s.manifests.Load(dir); ok {
		return m.(*deploy.Manifest)
	}
	m, err := deploy.Load(dir, deploy.Changes{LoadAnyFile: s.config.Deploy.LoadsAnyFile()})
	if err != nil {
		m = nil
	}
	s.manifests.Store(dir, m)
	return m
}

// home is what a kustomization has for its own namespace.
func (s *suite) home(dir string) metav1.ObjectMeta {
	if m := s.manifest(dir); m != nil {
		return m.Home
	}
	return metav1.ObjectMeta{}
}

// drivers are those of kustomizations.
func (s *suite) drivers(ctx context.Context, dirs ...string) []string {
	var manifests []*deploy.Manifest
	for _, dir := range dirs {
		if m := s.manifest(dir); m != nil {
			manifests = append(manifests, m)
		}
	}
	return deploy.Drivers(ctx, s.cluster.Client, manifests...)
}

// examined is the cluster with the driver of one kustomization, or with all if that has none.
func (s *suite) examined(ctx context.Context, dir string) *cluster.Cluster {
	c := *s.cluster
	if own := s.drivers(ctx, dir); len(own) > 0 {
		c.Drivers = own
	}
	return &c
}

// Specs returns what was passed to It so far, in an order of no meaning.
func Specs() []spec.Spec { return slices.Clone(registered.specs) }

// List returns the registered specs, by id, and which of them c selects.
// Nothing is run. A FieldError says what is wrong with the selection of c.
func List(c config.Config) (spec.Listing, error) {
	specs := Specs()
	if err := spec.ValidateAll(specs); err != nil {
		return spec.Listing{}, err
	}
	slices.SortFunc(specs, func(a, b spec.Spec) int { return strings.Compare(a.ID, b.ID) })
	ids, err := selected(c, specs)
	return spec.Listing{Specs: specs, Selected: ids}, err
}

// ErrFailed is returned when specs did not pass. What happened is in the
// events.
var ErrFailed = errors.New("specs failed")

// Run runs the specs that c selects, for at most limit. power switches the
// nodes of the cluster; nil: nothing can.
func Run(c config.Config, limit time.Duration, power cluster.NodePower) error {
	ids, err := selected(c, registered.specs)
	if err != nil {
		return err
	}
	suiteConfig, reporterConfig := ginkgoConfig(c, ids, limit)
	return RunAs(c, power, suiteConfig, reporterConfig)
}

// RunAs runs the specs that Ginkgo's own configuration selects, such as that of
// the command line of go test.
func RunAs(c config.Config, power cluster.NodePower, suiteConfig types.SuiteConfig, reporterConfig types.ReporterConfig) error {
	catalogue, err := spec.NewCatalogue(registered.specs)
	if err != nil {
		return err
	}
	secrets := &redact.Redactor{}
	stream, err := openEvents(c.Events, secrets)
	if err != nil {
		return err
	}
	s := &suite{config: c, power: power, events: stream, secrets: secrets, leaked: map[string][]report.Leak{}, requirements: map[spec.ReqID]spec.Requirement{}}
	if c.Parallel > 1 {
		if s.lane, err = lane.Inherited(); err != nil {
			return err
		}
	}
	for _, r := range catalogue.Requirements {
		s.requirements[r.ID] = r
	}
	registered.suite = s
	ginkgo.BeforeSuite(s.setUp, ginkgo.NodeTimeout(s.scaled(setUpLimit)))
	ginkgo.ReportAfterEach(s.specEnded)
	ginkgo.ReportAfterSuite("the end", s.suiteEnded)
	var result outcome
	ginkgo.RunSpecs(&result, title, suiteConfig, reporterConfig)
	return errors.Join(result.err, stream.close())
}

// outcome takes the place of a testing.T.
type outcome struct{ err error }

// Fail implements ginkgo.GinkgoTestingT.
func (o *outcome) Fail() { o.err = ErrFailed }

// scaled is a limit around several waits.
func (s *suite) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.config.WaitScale.Max())
}

func (s *suite) setUp(ctx ginkgo.SpecContext) {
	config, _ := ginkgo.GinkgoConfiguration()
	s.events.emit(report.Event{Kind: report.SuiteStarted, Text: fmt.Sprint(config.RandomSeed)})
	c, err := cluster.Connect(ctx, s.config.Cluster.Kubeconfig, s.config.Cluster.Context, wait.Waiter{Scale: s.config.WaitScale})
	if err != nil {
		ginkgo.Fail(fmt.Sprintf("connect to the cluster: %v", err))
	}
	c.Power = s.power
	c.KeepSessions()
	s.secrets.Learn(c.Credentials()...)
	s.cluster = c
	if err := s.lane.Begin(ctx); err != nil {
		ginkgo.Fail(err.Error())
	}
	c.Drivers = s.drivers(ctx, s.config.Deploy.Ephemeral, s.config.Deploy.Persistent)
	s.leaks = newWatcher(s)
	s.leaks.begin(ctx)
	if err := s.lane.Begun(ctx); err != nil {
		ginkgo.Fail(err.Error())
	}
	ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) error {
		removals := s.awaitRemovals(ctx)
		s.leaks.finish(ctx)
		c.EndSessions(ctx)
		return removals
	}, ginkgo.NodeTimeout(s.scaled(removalLimit+leaksLimit)))
	ginkgo.DeferCleanup(s.awaitOthers) // before the comparison
}

// suiteEnded reports what went wrong outside of the specs.
func (s *suite) suiteEnded(r ginkgo.Report) {
	addError := func(text string) { s.events.emit(report.Event{Kind: report.ErrorMet, Text: text}) }
	for _, sr := range r.SpecReports {
		if sr.LeafNodeType != types.NodeTypeIt && sr.Failed() {
			addError(fmt.Sprintf("%s %s: %s", sr.LeafNodeType, sr.State, oneline.First(sr.Failure.Message)))
		}
	}
	if r.SuiteHasProgrammaticFocus {
		addError("the suite's code focuses single specs, so the others cannot run")
	}
	for _, reason := range r.SpecialSuiteFailureReasons {
		addError(oneline.First(reason))
	}
	if s.cluster != nil {
		work := s.cluster.Tally.All()
		s.events.emit(report.Event{Kind: report.WorkDone, Work: &work})
	}
	s.events.emit(report.Event{Kind: report.SuiteEnded})
}

// removeLater closes l while the run continues; awaitRemovals has its error.
func (s *suite) removeLater(l *ledger.Ledger) {
	s.removals.Go(func() {
		ctx, cancel := context.WithTimeout(tally.Uncounted(context.Background()), s.scaled(removalLimit))
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
