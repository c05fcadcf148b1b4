package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// AwaitReplaced waits until the controller of p has made another pod.
func AwaitReplaced(ctx context.Context, e *framework.Env, d *deploy.Deployment, p metav1.Object) {
	_, err := AwaitPods(ctx, e, d, wait.PodReplaced, "another pod in the place of "+framework.Name("pod", p), func(pods []corev1.Pod) bool {
		return slices.ContainsFunc(pods, func(other corev1.Pod) bool { return other.UID != p.GetUID() })
	})
	e.NoError(err, "see %s replaced", framework.Name("pod", p))
}

// SignalScript sends the signal $1 to the process named memcached, if $2 is "top"
// to its ancestor that was started in the container instead, and if it is "all" to
// both and to those between them. That ancestor has the number 1, but not in a pod
// whose containers share their processes; its parent is in no case visible, and
// has the number 0.
const SignalScript = `for d in /proc/[0-9]*; do
	read -r name 2>/dev/null <"$d/comm" && [ "$name" = memcached ] && pid=${d#/proc/}
done
[ -n "$pid" ] || { echo "no memcached runs" >&2; exit 1; }
pids=$pid
while [ "$2" != itself ]; do
	parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
	[ "$parent" -gt 0 ] || break
	pid=$parent
	pids="$pid $pids"
done
[ "$2" = all ] || pids=$pid
kill -s "$1" $pids`

// Signal runs a script that sends a signal in the container memcached.
func Signal(ctx context.Context, e *framework.Env, p *corev1.Pod, script string, args ...string) {
	r, err := e.Cluster.Exec(ctx, p.Namespace, p.Name, deploy.Container, append([]string{"sh", "-c", script, "sh"}, args...)...)
	if err == nil && r.ExitCode != 0 && r.ExitCode != 137 { // the end of the container can end the script, too
		err = fmt.Errorf("exit code %d: %s", r.ExitCode, r.Stderr)
	}
	e.NoError(err, "send a signal in %s", framework.Name("pod", p))
}

// RestartInPlace runs a script that ends memcached and waits until the container
// serves again in the same pod. The spec ends with req not met when it does not.
func RestartInPlace(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod, script string, args ...string) *corev1.Pod {
	Signal(ctx, e, p, script, args...)
	p, err := AwaitRestart(ctx, e, p)
	e.Require(req, "the container serves again in its pod", framework.Name("pod", p), err, framework.Succeed)
	return p
}

// ReplacePod deletes a pod with a grace period in seconds and waits until another
// one is Ready. The spec ends with req not met when none is.
func ReplacePod(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod, req spec.ReqID, grace int64) {
	pods := e.Cluster.Client.CoreV1().Pods(p.Namespace)
	err := pods.Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &p.UID}})
	e.NoError(err, "delete %s", framework.Name("pod", p))
	AwaitReplaced(ctx, e, d, p)
	e.Require(req, fmt.Sprintf("after removal with a grace period of %d s the next pod serves", grace), Name(d), d.Ready(ctx), framework.Succeed)
}

// RemovePod deletes a pod without a grace period and waits until another one is
// Ready and memcached of the first, which the API forgets at once, has ended.
// The spec ends with req not met when no other pod is Ready.
func RemovePod(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod, req spec.ReqID) {
	ended := follow(ctx, e, p)
	ReplacePod(ctx, e, d, p, req, 0)
	err := e.Waiter.Until(ctx, wait.PodGone, "memcached's container of the removed "+framework.Name("pod", p)+" to end", func(context.Context) (bool, string, error) {
		select {
		case <-ended:
			return true, "its log has ended", nil
		default:
			return false, "its log continues", nil
		}
	})
	e.NoError(err, "see the end of memcached in the removed %s", framework.Name("pod", p))
	e.Require(req, "when memcached of the removed pod has ended, the next pod serves", Name(d), d.Ready(ctx), framework.Succeed)
}

// follow returns a channel that is closed at the end of the log of memcached's
// container, which the kubelet sends until the container has ended, also for a
// pod that the API no longer has.
func follow(ctx context.Context, e *framework.Env, p *corev1.Pod) <-chan struct{} {
	log, err := e.Cluster.Client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: deploy.Container, Follow: true}).Stream(ctx)
	e.NoError(err, "follow the log of memcached in %s", framework.Name("pod", p))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer log.Close()
		_, _ = io.Copy(io.Discard, log)
	}()
	return ended
}

// TimeStop deletes a pod with its own grace period and returns how long memcached's container took to end, its hooks
// included: by the kubelet's own times if they can be seen, in whole seconds. A busy kubelet reports late what it has done in
// time, so the report is awaited for three times the limit.
func TimeStop(ctx context.Context, e *framework.Env, p *corev1.Pod, limit time.Duration) (time.Duration, error) {
	pods := e.Cluster.Client.CoreV1().Pods(p.Namespace)
	start := time.Now()
	if err := pods.Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}}); err != nil {
		return 0, err
	}
	waiter := e.Watching(p.Namespace, cluster.Pods)
	waiter.Limits = map[wait.Name]time.Duration{wait.PodGone: 3 * limit}
	waiter.Interval = 100 * time.Millisecond
	var ended *corev1.ContainerStateTerminated
	err := waiter.Until(ctx, wait.PodGone, "memcached's container in "+framework.Name("pod", p)+" to end after the deletion of the pod", func(ctx context.Context) (bool, string, error) {
		now, err := pods.Get(ctx, p.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return true, "gone", nil
		case err != nil:
			return false, "", err
		case now.UID != p.UID:
			return true, "replaced", nil
		}
		ended = cache.Status(now).State.Terminated
		return ended != nil, string(now.Status.Phase), nil
	})
	took := time.Since(start)
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return took, nil
	}
	if err != nil || ended == nil {
		return took, err
	}
	list, err := e.Cluster.Client.CoreV1().Events(p.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Killing,involvedObject.uid=" + string(p.UID)})
	if err != nil {
		return took, err
	}
	if began, ok := stopBegan(list.Items, start); ok {
		took = max(ended.FinishedAt.Sub(began), 0)
	}
	return took, nil
}

// stopBegan is when the kubelet began to stop memcached's container, at start or after.
func stopBegan(killing []corev1.Event, start time.Time) (time.Time, bool) {
	for _, event := range killing {
		at := cluster.LastSeen(event)
		if strings.HasSuffix(event.InvolvedObject.FieldPath, "{"+deploy.Container+"}") && !at.Before(start.Truncate(time.Second)) {
			return at, true
		}
	}
	return time.Time{}, false
}

// exhaust takes memory until the kernel ends what is in the container. The
// first process of a container cannot be killed from within.
const exhaust = "exec tail /dev/zero"

// RunOutOfMemory has the kernel end the container, and returns the pod once
// memcached is Ready again in it.
func RunOutOfMemory(ctx context.Context, e *framework.Env, p *corev1.Pod) (*corev1.Pod, error) {
	// The command goes with the container, and with it perhaps the answer.
	ended, err := e.Cluster.Exec(ctx, p.Namespace, p.Name, deploy.Container, "sh", "-c", exhaust)
	how := fmt.Sprintf("ended with exit code %d", ended.ExitCode)
	if err != nil {
		how = "lost its connection: " + err.Error()
	}
	e.Note("lack of memory", "the command that took memory %s", how)
	return AwaitRestart(ctx, e, p)
}

// AwaitRestart waits until memcached has ended once more in its pod and is
// Ready again. It returns the pod as it is then.
func AwaitRestart(ctx context.Context, e *framework.Env, p *corev1.Pod) (*corev1.Pod, error) {
	before, current := cache.Status(p).RestartCount, p
	err := e.Watching(p.Namespace, cluster.Pods).Until(ctx, wait.RestartedInPod, "memcached to be Ready again in "+framework.Name("pod", p), func(ctx context.Context) (bool, string, error) {
		got, err := e.Cluster.Client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, "", wait.Stop(errors.New("the pod is gone"))
		}
		if err != nil {
			return false, "", err
		}
		if got.UID != p.UID {
			return false, "", wait.Stop(errors.New("another pod has taken its place"))
		}
		current = got
		s := cache.Status(got)
		return s.RestartCount > before && s.Ready && podutils.IsPodReady(got), fmt.Sprintf("%d restarts, ready %t, %s", s.RestartCount, s.Ready, cache.LastEnd(got)), nil
	})
	if err == nil {
		err = deploy.AwaitAnswer(ctx, e.Cluster, e.Waiter, current)
	}
	return current, err
}
