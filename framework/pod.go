package framework

import (
	"context"
	"slices"

	"github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/wait"
)

// StartPod makes a pod in the namespace it names and waits for nothing. The
// pod is removed with the ledger, or before by RemovePod.
func (e *Env) StartPod(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	ginkgo.GinkgoHelper()
	pods := e.Cluster.Client.CoreV1().Pods(pod.Namespace)
	pod, err := pods.Create(ctx, pod, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	e.NoError(err, "make a pod")
	e.Ledger.Add(Name("pod", pod), func(ctx context.Context) error { return e.removePod(ctx, pod) })
	return pod
}

// RunPod is StartPod, and waits until the pod runs or has ended.
func (e *Env) RunPod(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	ginkgo.GinkgoHelper()
	return e.AwaitPodRuns(ctx, e.StartPod(ctx, pod))
}

// AwaitPodRuns waits until a pod runs or has ended.
func (e *Env) AwaitPodRuns(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	ginkgo.GinkgoHelper()
	return e.awaitPod(ctx, wait.PodRuns, "to run", pod, func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending })
}

func (e *Env) awaitPod(ctx context.Context, name wait.Name, what string, pod *corev1.Pod, reached func(*corev1.Pod) bool) *corev1.Pod {
	ginkgo.GinkgoHelper()
	pod, err := deploy.AwaitPod(ctx, e.Cluster, e.Waiter, name, Name("pod", pod)+" "+what, pod, reached)
	e.NoError(err, "run %s", Name("pod", pod))
	return pod
}

// RemovePod removes a pod at once and waits until it is gone.
func (e *Env) RemovePod(ctx context.Context, pod *corev1.Pod) {
	ginkgo.GinkgoHelper()
	e.NoError(e.removePod(ctx, pod), "remove %s", Name("pod", pod))
}

func (e *Env) removePod(ctx context.Context, pod *corev1.Pod) error {
	pods := e.Cluster.Client.CoreV1().Pods(pod.Namespace)
	one := int64(1) // 0 would not wait for the kubelet
	err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &one, Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	return e.Watching(pod.Namespace, cluster.Pods).Until(ctx, wait.PodGone, "the removal of "+Name("pod", pod), func(ctx context.Context) (bool, string, error) {
		p, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return true, "gone", nil
		case err != nil:
			return false, "", err
		}
		return p.UID != pod.UID, removal(p), nil
	})
}

// removal is how far that of a pod has come.
func removal(p *corev1.Pod) string {
	running := slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.State.Running != nil })
	if p.DeletionTimestamp == nil || running || len(p.Status.ContainerStatuses) == 0 {
		return string(p.Status.Phase)
	}
	return string(p.Status.Phase) + ", no container runs: the kubelet removes a pod once its volumes are unmounted"
}
