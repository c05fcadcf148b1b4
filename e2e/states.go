package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var getOptions = metav1.GetOptions{}

// killed is the exit code of what SIGKILL has ended.
const killed int32 = 137

// memcachedStatus is what the kubelet tells of the container memcached.
func memcachedStatus(p *corev1.Pod) corev1.ContainerStatus {
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == deploy.Container {
			return s
		}
	}
	return corev1.ContainerStatus{}
}

// awaitRestartInPod waits until memcached has ended once more in its pod and is
// Ready again. It returns the pod as it is then.
func awaitRestartInPod(ctx context.Context, e *framework.Env, p *corev1.Pod) (*corev1.Pod, error) {
	before, current := memcachedStatus(p).RestartCount, p
	err := e.Waiter.Until(ctx, wait.RestartedInPod, "memcached to be Ready again in "+framework.Name("pod", p), func(ctx context.Context) (bool, string, error) {
		got, err := e.Cluster.Client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, getOptions)
		if err != nil {
			return false, "", err
		}
		if got.UID != p.UID {
			return false, "", wait.Stop(errors.New("another pod has taken its place"))
		}
		current = got
		s := memcachedStatus(got)
		return s.RestartCount > before && s.Ready && podutils.IsPodReady(got), fmt.Sprintf("%d restarts, ready %t, %s", s.RestartCount, s.Ready, lastEnd(got)), nil
	})
	if err == nil {
		err = deploy.AwaitAnswer(ctx, e.Cluster, e.Waiter, current)
	}
	return current, err
}

// lastEnd is how the instance of memcached before the current one ended.
func lastEnd(p *corev1.Pod) string {
	if t := memcachedStatus(p).LastTerminationState.Terminated; t != nil {
		return fmt.Sprintf("ended by %s with exit code %d", t.Reason, t.ExitCode)
	}
	return "never ended"
}

// lastExit is the exit code of the instance of memcached before the current
// one; -1 without one.
func lastExit(p *corev1.Pod) int32 {
	if t := memcachedStatus(p).LastTerminationState.Terminated; t != nil {
		return t.ExitCode
	}
	return -1
}

// eventsOf are all events about an object, one line each.
func eventsOf(ctx context.Context, e *framework.Env, namespace string, uid types.UID) ([]string, error) {
	list, err := e.Cluster.Client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(uid)})
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(list.Items))
	for i, event := range list.Items {
		lines[i] = fmt.Sprintf("%s %s: %s", event.Type, event.Reason, strings.Join(strings.Fields(event.Message), " "))
	}
	return lines, nil
}

// awaitEvent waits for a warning about an object whose line has all of words,
// and returns it. Without one the error has the events that there are.
func awaitEvent(ctx context.Context, e *framework.Env, kind string, o metav1.Object, words ...string) (string, error) {
	var found string
	what := fmt.Sprintf("an event of %s with %q", framework.Name(kind, o), words)
	err := e.Waiter.Until(ctx, wait.EventSeen, what, func(ctx context.Context) (bool, string, error) {
		lines, err := eventsOf(ctx, e, o.GetNamespace(), o.GetUID())
		if err != nil {
			return false, "", err
		}
		i := slices.IndexFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, corev1.EventTypeWarning) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
		})
		if i >= 0 {
			found = lines[i]
		}
		return i >= 0, strings.Join(lines, "; "), nil
	})
	return found, err
}

// patchWorkload changes the workload of a deployment and waits for nothing.
func patchWorkload(ctx context.Context, e *framework.Env, d *deploy.Deployment, patch string) {
	_, err := e.Cluster.Client.AppsV1().RESTClient().Patch(types.StrategicMergePatchType).
		Namespace(d.Namespace).Resource(strings.ToLower(d.Kind) + "s").Name(d.Name).Body([]byte(patch)).Do(ctx).Raw()
	e.NoError(err, "change %s %s/%s", d.Kind, d.Namespace, d.Name)
}

// awaitPods waits until the pods of a deployment are as wanted.
func awaitPods(ctx context.Context, e *framework.Env, d *deploy.Deployment, name wait.Name, what string, reached func([]corev1.Pod) bool) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	err := e.Waiter.Until(ctx, name, what, func(ctx context.Context) (bool, string, error) {
		var err error
		if pods, err = d.Pods(ctx); err != nil {
			return false, "", err
		}
		var states []string
		for _, p := range pods {
			states = append(states, fmt.Sprintf("%s %s, ready %t", p.Name, p.Status.Phase, podutils.IsPodReady(&p)))
		}
		return reached(pods), strings.Join(states, "; "), nil
	})
	return pods, err
}

// expectKey reads a value past the Service.
func expectKey(ctx context.Context, e *framework.Env, req spec.ReqID, says string, p *corev1.Pod, key, value string) {
	client := connect(ctx, e, p)
	defer client.Close()
	item, err := client.Get(ctx, key)
	if err != nil && !errors.Is(err, memcached.ErrCacheMiss) {
		e.NoError(err, "read %s", key)
	}
	got := "a miss"
	if err == nil {
		got = string(item.Value)
	}
	e.Expect(req, says, framework.Name("pod", p), got, gomega.Equal(value))
}

// expectKeyStored stores a value and reads it again.
func expectKeyStored(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) {
	client := connect(ctx, e, p)
	defer client.Close()
	value := marker()
	e.Expect(req, "a value is stored", framework.Name("pod", p), client.Set(ctx, &memcached.Item{Key: "stored", Value: []byte(value)}), framework.Succeed)
	expectKey(ctx, e, req, "the value is read", p, "stored", value)
}
