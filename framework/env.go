package framework

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Env is what a spec works with. It belongs to the goroutine of the spec's
// body; only the wait records may come from others.
type Env struct {
	Spec      spec.Spec
	Config    config.Config
	Cluster   *cluster.Cluster
	Waiter    wait.Waiter    // its records go into the report
	Ledger    *ledger.Ledger // closed after the body, before the namespace is removed
	Namespace string         // the spec's own

	namespaces ledger.Ledger
	used       []string // namespaces that the spec made
	examined   map[spec.ReqID]bool
	failures   []failure
	lost       bool // the cluster no longer answers

	mu    sync.Mutex
	waits []wait.Record
}

func newEnv(s *suite, sp spec.Spec) *Env {
	e := &Env{
		Spec: sp, Config: s.config, Cluster: s.cluster, Ledger: &ledger.Ledger{},
		Namespace: fmt.Sprintf("e2e-%s-%s", strings.ToLower(sp.ID), rand.String(5)),
		examined:  map[spec.ReqID]bool{},
	}
	e.Waiter = wait.Waiter{Scale: s.config.WaitScale, Observe: e.observe}
	return e
}

func (e *Env) observe(r wait.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waits = append(e.waits, r)
}

// MakeNamespace makes a namespace that is removed with the spec's own. One
// that exists already is left alone and ends the spec.
func (e *Env) MakeNamespace(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	labels := map[string]string{"app.kubernetes.io/part-of": "pmem-memcached-e2e"}
	err := deploy.Namespace(ctx, e.Cluster, wait.Waiter{Scale: e.Config.WaitScale}, &e.namespaces, name, labels)
	e.NoError(err, "make the namespace %s", name)
	e.used = append(e.used, name)
}

// Step names what comes next in the output.
func (e *Env) Step(format string, args ...any) {
	ginkgo.By(fmt.Sprintf(format, args...))
}

// Note puts a value into the report and the output. Its form in the output is
// its String method.
func (e *Env) Note(name string, value any) {
	ginkgo.AddReportEntry(name, value)
}

// Manifest renders the kustomization that is examined in a profile, moved to
// the spec's namespace.
func (e *Env) Manifest(profile spec.Profile) *deploy.Manifest {
	ginkgo.GinkgoHelper()
	dir := e.Config.Deploy.Ephemeral
	if profile == spec.Persistent {
		dir = e.Config.Deploy.Persistent
	}
	return e.Render(dir, e.Namespace)
}

// Render renders a kustomization. An empty namespace leaves its objects where
// they belong.
func (e *Env) Render(dir, namespace string) *deploy.Manifest {
	ginkgo.GinkgoHelper()
	m, err := deploy.Load(dir, deploy.Changes{Namespace: namespace, MemcachedImage: e.Config.Deploy.MemcachedImage})
	e.NoError(err, "render %s", dir)
	return m
}

// Deploy applies m and waits until it is ready. It ends the spec with req not
// met when that does not happen.
func (e *Env) Deploy(ctx context.Context, req spec.ReqID, m *deploy.Manifest) *deploy.Deployment {
	ginkgo.GinkgoHelper()
	e.Step("deploy %s", m.Dir)
	d, err := m.Apply(ctx, e.Cluster, e.Waiter, e.Ledger)
	e.NoError(err, "apply %s", m.Dir)
	e.Require(req, "the deployment becomes ready", fmt.Sprintf("%s %s/%s", m.Kind, m.Namespace, m.Name), d.Ready(ctx), Succeed)
	return d
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
	client, err := memcached.Dial(ctx, f.Addr)
	if err != nil {
		if cause := f.Close(); cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return nil, err
	}
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
