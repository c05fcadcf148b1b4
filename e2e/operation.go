package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/version"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/match"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// expectOperable deploys a profile into a namespace that enforces the baseline
// standard and examines its pod. Pods that the standard does not admit are
// examined in a namespace without it.
func expectOperable(ctx context.Context, e *framework.Env, profile spec.Profile) (*deploy.Deployment, *corev1.Pod) {
	enforceBaseline(ctx, e, e.Namespace)
	e.Step("deploy where the baseline standard is enforced")
	d := e.Apply(ctx, "OPS-04", e.Variant(profile, deploy.Changes{Namespace: e.Namespace}))
	if !e.Expect("OPS-04", "the deployment becomes ready", workload.Name(d), d.Ready(ctx), framework.Succeed) {
		free := e.Namespace + "-free"
		e.MakeNamespace(ctx, free)
		d = e.Deploy(ctx, "OPS-04", e.Variant(profile, deploy.Changes{Namespace: free}))
	}
	p := workload.Pod(ctx, e, d)
	expectAnswers(ctx, e, p)
	expectReadinessProbe(e, p)
	expectImage(ctx, e, p)
	expectOnePort(ctx, e, d, p)
	expectFewPermissions(ctx, e, p)
	return d, p
}

var _ = framework.It(spec.Spec{
	ID: "OPS-04", Title: "an ephemeral pod is admitted under the baseline standard, answers once it is Ready, and has no more permissions and ports than it needs",
	Covers: []spec.ReqID{"OPS-03", "OPS-04", "OPS-07", "OPS-10", "OPS-11"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"security"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	expectOperable(ctx, e, spec.Ephemeral)
	expectRefusalReported(ctx, e)
})

var _ = framework.It(spec.Spec{
	ID: "OBJ-02", Title: "a persistent pod is admitted under the baseline standard, and its claim is found by the labels of the workload",
	Covers: []spec.ReqID{"OBJ-02", "OPS-03", "OPS-04", "OPS-07", "OPS-10", "OPS-11"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"security"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d, p := expectOperable(ctx, e, spec.Persistent)

	claim := storage.OfMemoryFile(ctx, e, "OBJ-02", d, p)
	for key, value := range d.MatchLabels() {
		e.Expect("OBJ-02", "the claim has the labels by which the workload selects its pods", framework.Name("claim", claim), claim.Labels, gomega.HaveKeyWithValue(key, value))
	}
})

const enforce = "pod-security.kubernetes.io/enforce"

func enforceBaseline(ctx context.Context, e *framework.Env, namespace string) {
	_, err := e.Cluster.Client.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:"baseline"}}}`, enforce), metav1.PatchOptions{})
	e.NoError(err, "make namespace %s enforce the Pod Security Standard baseline", namespace)
}

// expectAnswers follows at once after the pod was Ready.
func expectAnswers(ctx context.Context, e *framework.Env, p *corev1.Pod) {
	name := framework.Name("pod", p)
	f, err := e.Cluster.ForwardPod(ctx, p.Namespace, p.Name, deploy.Port(p))
	e.NoError(err, "forward to %s", name)
	defer f.Close()
	c, err := memcached.Dial(ctx, f.Addr)
	if e.Expect("OPS-03", "memcached answers when its pod is Ready", name, f.Judge(ctx, err), framework.Succeed) {
		c.Close()
	}
}

func expectReadinessProbe(e *framework.Env, p *corev1.Pod) {
	probe := "none"
	if handler := deploy.MemcachedContainer(p.Spec).ReadinessProbe; handler != nil {
		probe = handler.String()
	}
	e.Expect("OPS-03", "the container has a readiness probe", framework.Name("pod", p), probe, gomega.Not(gomega.Equal("none")))
}

// restartable is the first memcached with a memory file that outlives it.
var restartable = version.MustParseGeneric("1.5.18")

func expectImage(ctx context.Context, e *framework.Env, p *corev1.Pod) {
	name := framework.Name("pod", p)
	e.Expect("OPS-07", "this release of memcached can restart on its memory file", name, cache.Version(ctx, e, p),
		match.That("be "+restartable.String()+" or newer", func(v *version.Version) bool { return v.AtLeast(restartable) }))
	e.Expect("OPS-07", "memcached's user is not root (user id)", name, cache.Process(ctx, e, p).UID, gomega.Not(gomega.BeZero()))
	var missed []string
	for _, c := range preparing(p) {
		log, err := e.Cluster.Logs(ctx, p.Namespace, p.Name, c, false)
		e.NoError(err, "read the log of container %s of %s", c, name)
		for _, line := range cache.MissingPrograms(log) {
			missed = append(missed, c+": "+line)
		}
	}
	e.Expect("OPS-07", "no container that prepares or runs memcached misses a program in its image", name, missed, gomega.BeEmpty())
}

// preparing are the containers that make memcached run: the init containers that end, and its own.
func preparing(p *corev1.Pod) []string {
	var names []string
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy == nil {
			names = append(names, c.Name)
		}
	}
	return append(names, deploy.Container)
}

func expectOnePort(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) {
	name := framework.Name("pod", p)
	open := cache.Sockets(ctx, e, p)
	e.Expect("OPS-10", "memcached listens on its port and nowhere else", name, open, gomega.Equal([]string{fmt.Sprintf("tcp %d", deploy.Port(p))}))
	services, err := e.Cluster.Client.CoreV1().Services(d.Namespace).List(ctx, metav1.ListOptions{})
	e.NoError(err, "list the Services in %s", d.Namespace)
	for _, s := range services.Items {
		if len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) {
			object := framework.Name("Service", &s)
			e.Expect("OPS-10", "a Service of the pod is reachable in the cluster only (type)", object, s.Spec.Type, gomega.Equal(corev1.ServiceTypeClusterIP))
			e.Expect("OPS-10", "a Service of the pod has no address outside of the cluster", object, s.Spec.ExternalIPs, gomega.BeEmpty())
		}
	}
	e.Expect("OPS-10", "the pod does not use its node's network", name, fmt.Sprintf("hostNetwork: %t", p.Spec.HostNetwork), gomega.Equal("hostNetwork: false"))
}

// permissions prints the kernel's status of memcached, and whether there is a
// token for the API server.
const permissions = `grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$1/status"; [ ! -e /var/run/secrets/kubernetes.io/serviceaccount/token ] || echo token: yes`

func expectFewPermissions(ctx context.Context, e *framework.Env, p *corev1.Pod) {
	name := framework.Name("pod", p)
	result, err := e.Cluster.Exec(ctx, p.Namespace, p.Name, deploy.Container, "sh", "-c", permissions, "sh", strconv.Itoa(cache.Process(ctx, e, p).PID))
	e.NoError(err, "read the permissions of memcached")
	status := map[string]string{}
	for line := range strings.Lines(result.Stdout) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	for _, r := range []struct{ field, check, want string }{
		{"CapEff", "memcached has no capability", "0000000000000000"},
		{"CapBnd", "memcached cannot gain a capability", "0000000000000000"},
		{"NoNewPrivs", "memcached cannot gain privileges by running a program", "1"},
		{"Seccomp", "memcached's system calls are filtered", "2"},
		{"token", "the container has no token for the API server", ""},
	} {
		e.Expect("OPS-11", r.check+" ("+r.field+")", name, status[r.field], gomega.Equal(r.want))
	}
}

// expectRefusalReported deploys pods that the standard does not admit.
func expectRefusalReported(ctx context.Context, e *framework.Env) {
	namespace := e.Namespace + "-refused"
	e.MakeNamespace(ctx, namespace)
	enforceBaseline(ctx, e, namespace)
	m := e.Variant(spec.Ephemeral, deploy.Changes{Namespace: namespace})
	for _, o := range m.Objects {
		if o.GetKind() == m.Kind && o.GetName() == m.Name {
			e.NoError(unstructured.SetNestedField(o.Object, true, "spec", "template", "spec", "hostPID"), "change %s", m.Dir)
		}
	}
	object := fmt.Sprintf("%s %s/%s", m.Kind, m.Namespace, m.Name)
	_, err := m.Apply(ctx, e.Cluster, e.Waiter, e.Ledger)
	if err == nil || !deploy.Refused(err.Error()) { // some policies refuse a workload before it makes pods
		e.NoError(err, "apply %s", m.Dir)
		err = awaitRefusal(ctx, e, namespace, object)
	} else {
		e.Note("refusal", "%s", err)
		err = nil
	}
	e.Expect("OPS-04", "an event of the workload reports that its pods are not admitted", object, err, framework.Succeed)
}

// awaitRefusal waits for an event about pods that are not admitted, by the standard or by a policy of the cluster.
func awaitRefusal(ctx context.Context, e *framework.Env, namespace, object string) error {
	return e.Waiter.Until(ctx, wait.EventSeen, "an event about pods of "+object+" that are not admitted", func(ctx context.Context) (bool, string, error) {
		events, err := e.Cluster.Client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
		if err != nil {
			return false, "", err
		}
		var lines []string
		reported := false
		for _, event := range events.Items {
			lines = append(lines, event.InvolvedObject.Kind+": "+event.Message)
			reported = reported || deploy.Refused(event.Message)
		}
		return reported, strings.Join(lines, "; "), nil
	})
}
