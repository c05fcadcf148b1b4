package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-14", Title: "whichever way a pod ends, the next start has all items or none, and none from before",
	Covers: []spec.ReqID{"RST-14", "RST-15", "RST-16", "RST-53", "RST-60", "RST-61", "RST-65"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "crash"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	other := e.Namespace + "-other"
	e.MakeNamespace(ctx, other)
	both := e.DeployAll(ctx, "RST-14", e.Manifest(spec.Persistent), e.Variant(spec.Persistent, deploy.Changes{Namespace: other}))
	e.Together(func() { expectEnds(ctx, e, both[0]) }, func() { expectRemovals(ctx, e, both[1]) })
})

// expectEnds has memcached end in its pod, and the pod for another one.
func expectEnds(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	first, second, third := stock("first"), stock("second"), stock("third")
	e.Step("restart by SIGTERM to the first process of the container")
	p := pod(ctx, e, d)
	storeIn(ctx, e, p, first)
	p = inPlace(ctx, e, "RST-60", p, `kill -s TERM 1`)
	e.Expect("RST-60", "after SIGTERM to process 1 the start in the same pod ("+lastEnd(p)+") has the items", framework.Name("pod", p), servedBy(ctx, e, p, first), gomega.Equal(all(first)))

	e.Step("kill memcached after a warm start and a change")
	changed := memcached.Item{Key: first[1].Key, Value: []byte("changed")}
	storeIn(ctx, e, p, append(second, changed))
	p = inPlace(ctx, e, "RST-14", p, signalScript, "KILL", "itself")
	name := framework.Name("pod", p)
	e.Expect("RST-65", "after a crash ("+lastEnd(p)+") items from before the last orderly stop are served", name, servedBy(ctx, e, p, first), gomega.Equal(none(first)))
	e.Expect("RST-14", "after a crash ("+lastEnd(p)+") items stored before it are served", name, servedBy(ctx, e, p, second), gomega.Equal(none(second)))
	log, err := e.Cluster.Logs(ctx, p.Namespace, p.Name, deploy.Container, false)
	e.NoError(err, "read the log of %s", name)
	e.Expect("RST-14", "the log of the start after a crash says that there is no saved state", name, log, gomega.ContainSubstring("no metadata save file"))

	e.Step("restart the workload by a change of its template")
	storeIn(ctx, e, p, third)
	e.NoError(d.Restart(ctx), "restart %s", d.Name)
	q := pod(ctx, e, d)
	name = framework.Name("pod", q)
	e.Expect("RST-61", "a rolling restart has made a new pod", name, q.UID, gomega.Not(gomega.Equal(p.UID)))
	e.Expect("RST-61", "after a rolling restart the items are served", name, servedBy(ctx, e, q, third), gomega.Equal(all(third)))
	e.Expect("RST-16", "after a crash, a cold start and an orderly stop, what was stored since the crash is served", name, servedBy(ctx, e, q, third), gomega.Equal(all(third)))
	e.Expect("RST-16", "after a crash, a cold start and an orderly stop, what was stored before the crash is served", name, servedBy(ctx, e, q, append(first, second...)), gomega.Equal(none(append(first, second...))))
}

// expectRemovals has pods removed without the time for an orderly stop.
func expectRemovals(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	first, second := stock("first"), stock("second")
	e.Step("let the grace period of a memcached that stands still run out, after a restart")
	q := inPlace(ctx, e, "RST-53", pod(ctx, e, d), `kill -s TERM 1`)
	storeIn(ctx, e, q, second)
	signal(ctx, e, q, signalScript, "STOP", "itself")
	replacePod(ctx, e, d, q, "RST-53", shortGrace)
	q = pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("RST-53", "after a stop that took longer than its grace period, items from before are served", name, servedBy(ctx, e, q, second), gomega.Equal(none(second)))
	storeIn(ctx, e, q, first)
	e.Expect("RST-53", "after a stop that took longer than its grace period, items stored since are served", name, servedBy(ctx, e, q, first), gomega.Equal(all(first)))

	e.Step("remove the pod without a grace period")
	replacePod(ctx, e, d, q, "RST-15", 0)
	q = pod(ctx, e, d)
	name = framework.Name("pod", q)
	// The API forgets the pod at once; whether memcached is still given the time to save is the kubelet's decision.
	e.Expect("RST-15", "after a removal without a grace period, items from before are served, all or none", name, servedBy(ctx, e, q, first), gomega.BeElementOf(none(first), all(first)))
	storeIn(ctx, e, q, second)
	e.Expect("RST-15", "after a removal without a grace period, items stored since are served", name, servedBy(ctx, e, q, second), gomega.Equal(all(second)))
	e.Note("removal without a grace period", "of the items from before "+servedBy(ctx, e, q, first)+" are served")
}

// shortGrace is enough for a memcached that works, on any machine.
const shortGrace = 5 // seconds

func storeIn(ctx context.Context, e *framework.Env, p *corev1.Pod, items []memcached.Item) {
	c := open(ctx, e, p)
	defer c.close()
	c.store(ctx, e, items...)
}

func servedBy(ctx context.Context, e *framework.Env, p *corev1.Pod, items []memcached.Item) string {
	c := open(ctx, e, p)
	defer c.close()
	return served(ctx, e, c, items)
}

// signalScript finds the process named memcached and with "top" the one that was
// started in the container, above it.
const signalScript = `for d in /proc/[0-9]*; do
	read -r name 2>/dev/null <"$d/comm" && [ "$name" = memcached ] && pid=${d#/proc/}
done
[ -n "$pid" ] || { echo "no memcached runs" >&2; exit 1; }
while [ "$2" = top ]; do
	parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
	[ "$parent" -gt 1 ] || break
	pid=$parent
done
kill -s "$1" "$pid"`

// signal runs a script that sends a signal in the container memcached.
func signal(ctx context.Context, e *framework.Env, p *corev1.Pod, script string, args ...string) {
	r, err := e.Cluster.Exec(ctx, p.Namespace, p.Name, deploy.Container, append([]string{"sh", "-c", script, "sh"}, args...)...)
	if err == nil && r.ExitCode != 0 && r.ExitCode != 137 { // the end of the container can end the script, too
		err = fmt.Errorf("exit code %d: %s", r.ExitCode, r.Stderr)
	}
	e.NoError(err, "send a signal in %s", framework.Name("pod", p))
}

// inPlace sends a signal and waits until the container runs again in the same
// pod.
func inPlace(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod, script string, args ...string) *corev1.Pod {
	signal(ctx, e, p, script, args...)
	p, err := awaitRestartInPod(ctx, e, p)
	e.Require(req, "the container serves again in its pod", framework.Name("pod", p), err, framework.Succeed)
	return p
}

// replacePod deletes a pod with a grace period and waits until there is
// another one that is Ready.
func replacePod(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod, req spec.ReqID, grace int64) {
	pods := e.Cluster.Client.CoreV1().Pods(p.Namespace)
	err := pods.Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &p.UID}})
	e.NoError(err, "delete %s", framework.Name("pod", p))
	awaitReplaced(ctx, e, d, p)
	e.Require(req, fmt.Sprintf("after a removal with a grace period of %d s the next pod serves", grace), workload(d), d.Ready(ctx), framework.Succeed)
}
