package framework

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Env is what a spec works with. It belongs to the goroutine of the spec's
// body, and to those of its parts while these run by Parallel.
type Env struct {
	Spec      spec.Spec
	Config    config.Config
	Cluster   *cluster.Cluster
	Waiter    wait.Waiter    // its records go into the report
	Ledger    *ledger.Ledger // closed after the body, before the namespace is removed
	Namespace string         // the spec's own

	suite      *suite
	namespaces ledger.Ledger
	used       []string // namespaces that the spec made
	leftovers  []report.Leak
	earlier    []report.Leak // of earlier attempts
	lost       error         // the cluster no longer answers
	began      bool          // the set-up is done
	complete   bool          // the body came to its end
	before     report.Work   // before the spec
	watches    []func()      // that end with the spec
	evidence   string        // relative to the report, when there is some

	mu           sync.Mutex
	relied       reliance
	examined     map[spec.ReqID]bool
	holds        map[spec.ReqID]bool // for the version of memcached, of those that depend on it
	inapplicable []spec.ReqID
	failures     []report.Failure
	waits        []wait.Record
	steps        []string
	notes        []report.Note
}

func newEnv(s *suite, sp spec.Spec) *Env {
	e := &Env{
		Spec: sp, Config: s.config, Cluster: s.cluster, Ledger: &ledger.Ledger{}, suite: s,
		Namespace: fmt.Sprintf("e2e-%s-%s", strings.ToLower(sp.ID), rand.String(5)),
		examined:  map[spec.ReqID]bool{}, holds: map[spec.ReqID]bool{},
	}
	e.Waiter = wait.Waiter{Scale: s.config.WaitScale, Final: fault.Lasting, Begin: e.waitBegan, Observe: e.waitEnded}
	return e
}

func (e *Env) emit(event report.Event) {
	event.Spec = e.Spec.ID
	e.suite.events.emit(event)
}

func (e *Env) waitBegan(r wait.Record) { e.emit(report.Event{Kind: report.WaitStarted, Wait: &r}) }

func (e *Env) waitEnded(r wait.Record) {
	e.mu.Lock()
	e.waits = append(e.waits, r)
	e.mu.Unlock()
	e.emit(report.Event{Kind: report.WaitEnded, Wait: &r})
}

// MakeNamespace makes a namespace that is removed with the spec's own, with the labels and annotations that the
// kustomization has for its namespace. One that exists already is left alone and ends the spec.
func (e *Env) MakeNamespace(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	err := deploy.Namespace(ctx, e.Cluster, e.background(), &e.namespaces, name, e.suite.home(e.dir(e.Spec.Profile)))
	e.NoError(err, "make the namespace %s", name)
	e.used = append(e.used, name)
	e.countPods(name)
	e.suite.leaks.made(name)
}

// Watching is the Waiter for what is about objects of some kinds in a namespace, such as cluster.Pods.
func (e *Env) Watching(namespace string, kinds ...string) wait.Waiter {
	w := e.Waiter
	w.Changes = e.Cluster.Changes(namespace, kinds...)
	return w
}

// background is for waits that may continue after the spec.
func (e *Env) background() wait.Waiter {
	return wait.Waiter{Scale: e.Config.WaitScale, Final: fault.Lasting}
}

// Step names what comes next.
func (e *Env) Step(format string, args ...any) {
	text := e.suite.secrets.Text(fmt.Sprintf(format, args...))
	e.mu.Lock()
	e.steps = append(e.steps, text)
	e.mu.Unlock()
	e.emit(report.Event{Kind: report.StepStarted, Text: text})
	ginkgo.By(text)
}

// Fact puts a fact about the cluster or memcached into the
// report, with what shows it.
func (e *Env) Fact(group, name, value, evidence string) {
	e.emit(report.Event{Kind: report.FactFound, Fact: &report.Fact{Group: group, Name: name, Value: value, Evidence: evidence}})
}

// Measured puts the result of a load into the report.
func (e *Env) Measured(b report.Benchmark) {
	b.Spec, b.Profile = e.Spec.ID, e.Spec.Profile
	e.emit(report.Event{Kind: report.Measured, Benchmark: &b})
}

// Keep writes what is worth keeping into a file next to the evidence of the
// spec and returns its path, relative to the report.
func (e *Env) Keep(name string, write func(io.Writer) error) string {
	ginkgo.GinkgoHelper()
	e.NoError(os.MkdirAll(e.evidenceDir(), 0o755), "make the directory for %s", name)
	f, err := os.Create(filepath.Join(e.evidenceDir(), name))
	e.NoError(err, "make the file for %s", name)
	w := e.suite.secrets.Writer(f)
	e.NoError(errors.Join(write(w), w.Close(), f.Close()), "write %s", name)
	return path.Join(evidenceOf(e.Spec.ID), name)
}

// Manifest renders the kustomization that is examined in a profile, moved to
// the spec's namespace.
func (e *Env) Manifest(profile spec.Profile) *deploy.Manifest {
	ginkgo.GinkgoHelper()
	return e.Variant(profile, deploy.Changes{Namespace: e.Namespace})
}

// Variant renders the kustomization that is examined in a profile, with changes. It has one replica,
// and nothing in it changes that, unless ch says otherwise.
func (e *Env) Variant(profile spec.Profile, ch deploy.Changes) *deploy.Manifest {
	ginkgo.GinkgoHelper()
	if ch.Replicas == 0 {
		ch.Replicas = 1
	}
	return e.render(e.dir(profile), ch)
}

// dir is the kustomization that is examined in a profile.
func (e *Env) dir(profile spec.Profile) string {
	if profile == spec.Persistent {
		return e.Config.Deploy.Persistent
	}
	return e.Config.Deploy.Ephemeral
}

// Render renders a kustomization. An empty namespace leaves its objects where
// they belong.
func (e *Env) Render(dir, namespace string) *deploy.Manifest {
	ginkgo.GinkgoHelper()
	ch := deploy.Changes{Namespace: namespace}
	if namespace != "" {
		ch.Replicas = 1
	}
	return e.render(dir, ch)
}

func (e *Env) render(dir string, ch deploy.Changes) *deploy.Manifest {
	ginkgo.GinkgoHelper()
	ch.MemcachedImage, ch.LoadAnyFile = e.Config.Deploy.MemcachedImage, e.Config.Deploy.LoadsAnyFile()
	m, err := deploy.Load(dir, ch)
	e.NoError(err, "render %s", dir)
	m.LearnSecrets(e.suite.secrets)
	for _, text := range m.Adjusted {
		e.noteOnce("deployment", text)
	}
	return m
}

// Deploy applies m and waits until it is ready. It ends the spec
// with req not met when that does not happen. That it does happen does not yet examine req.
func (e *Env) Deploy(ctx context.Context, req spec.ReqID, m *deploy.Manifest) *deploy.Deployment {
	ginkgo.GinkgoHelper()
	return e.DeployAll(ctx, req, m)[0]
}

// DeployAll is Deploy for several manifests at once.
func (e *Env) DeployAll(ctx context.Context, req spec.ReqID, manifests ...*deploy.Manifest) []*deploy.Deployment {
	ginkgo.GinkgoHelper()
	var all []*deploy.Deployment
	for _, m := range manifests {
		e.Step("deploy %s", filepath.Base(m.Dir))
		all = append(all, e.Apply(ctx, req, m))
	}
	for _, d := range all {
		e.Presume(req, "the deployment becomes ready", workloadOf(d), d.Ready(ctx), Succeed)
		e.Relies(req, d)
	}
	return all
}

// Apply makes the objects of m and waits for nothing. It ends the spec with req not met when the API server finds one malformed.
func (e *Env) Apply(ctx context.Context, req spec.ReqID, m *deploy.Manifest) *deploy.Deployment {
	ginkgo.GinkgoHelper()
	d, err := m.Apply(ctx, e.Cluster, e.Waiter, e.Ledger)
	if fault.Of(err) == fault.Deployment {
		e.Presume(req, "the API server accepts every object of the deployment", m.Dir, err, Succeed)
	}
	e.NoError(err, "apply %s", m.Dir)
	return d
}

// reliance is that a deployment serves while a spec uses it, and the
// requirement that it violates if it does not.
type reliance struct {
	req    spec.ReqID
	object string
}

// Serves requires that a deployment has become ready again, of which err is
// the result. From now on the spec relies on it for req, see [Env.Relies].
func (e *Env) Serves(req spec.ReqID, check string, d *deploy.Deployment, err error) {
	ginkgo.GinkgoHelper()
	e.Require(req, check, workloadOf(d), err, Succeed)
	e.Relies(req, d)
}

// Relies states which requirement a deployment violates from now on when it does not answer the spec's steps, or ends.
func (e *Env) Relies(req spec.ReqID, d *deploy.Deployment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.relied = reliance{req, workloadOf(d)}
}

func workloadOf(d *deploy.Deployment) string {
	return fmt.Sprintf("%s %s/%s", d.Kind, d.Namespace, d.Name)
}

// Ends requires that the pods of a deployment end, of which err is the result. One that does not end violates the requirement for
// which the deployment was made ready.
func (e *Env) Ends(check string, d *deploy.Deployment, err error) {
	ginkgo.GinkgoHelper()
	if relied := e.serving(); fault.Of(err) == fault.Deployment && relied.req != "" {
		e.Presume(relied.req, check, workloadOf(d), err, Succeed)
	}
	e.NoError(err, "see that %s, of %s", check, workloadOf(d))
}

func (e *Env) serving() reliance {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.relied
}

// Connection is a client of memcached at the near end of a port-forward.
type Connection struct {
	*memcached.Client
	Addr    string // 127.0.0.1:port
	forward *cluster.Forward
}

// Close closes client and port-forward. What they have to say about a pod
// that went away is of no interest.
func (c *Connection) Close() {
	_ = c.Client.Close()
	_ = c.forward.Close()
}

// ConnectService connects to memcached through its Service, as kubectl
// port-forward does. The connection is closed with the ledger.
func (e *Env) ConnectService(ctx context.Context, d *deploy.Deployment) (*Connection, error) {
	f, err := e.Cluster.ForwardService(ctx, d.Namespace, d.Service, d.ServicePort)
	if err != nil {
		return nil, err
	}
	return e.connect(ctx, f)
}

// ConnectPod connects to memcached's own port of a pod, past the Service.
func (e *Env) ConnectPod(ctx context.Context, pod metav1.Object, port int) *Connection {
	ginkgo.GinkgoHelper()
	f, err := e.Cluster.ForwardPod(ctx, pod.GetNamespace(), pod.GetName(), port)
	e.NoError(err, "forward to %s", Name("pod", pod))
	c, err := e.connect(ctx, f)
	e.NoError(err, "connect to memcached in %s", Name("pod", pod))
	return c
}

func (e *Env) connect(ctx context.Context, f *cluster.Forward) (*Connection, error) {
	limit, err := e.Waiter.Limit(wait.MemcachedAnswers)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client, err := memcached.Dial(limited, f.Addr)
	if err != nil {
		err = f.Judge(ctx, err)
		if cause := f.Close(); cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return nil, err
	}
	client.Terms = memcached.Terms{Limit: limit, Judge: f.Judge}
	c := &Connection{Client: client, Addr: f.Addr, forward: f}
	e.Ledger.Add("port-forward to pod "+f.Pod, func(context.Context) error {
		c.Close()
		return nil
	})
	return c, nil
}

// Name is how failures refer to an object: its kind, namespace and name.
func Name(kind string, o metav1.Object) string {
	if o.GetNamespace() == "" {
		return kind + " " + o.GetName()
	}
	return kind + " " + o.GetNamespace() + "/" + o.GetName()
}
