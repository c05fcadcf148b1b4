// Package workload has steps on a deployment under test: its pods, scaling,
// restarts, and the ways in which a pod ends.
package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Name is how failures refer to the workload of a deployment.
func Name(d *deploy.Deployment) string {
	return fmt.Sprintf("%s %s/%s", d.Kind, d.Namespace, d.Name)
}

// Pod is the only Ready pod of a deployment.
func Pod(ctx context.Context, e *framework.Env, d *deploy.Deployment) *corev1.Pod {
	p, err := d.Pod(ctx)
	e.NoError(err, "find the pod of %s", Name(d))
	return p
}

// RequestedSize is the size of the volume in the manifest, in bytes; 0 without one.
func RequestedSize(d *deploy.Deployment) int64 {
	v, err := d.Volume()
	if err != nil {
		return 0 // EPH-02 and RST-04 report what is wrong with it
	}
	return v.Size.Value()
}

// Largest is the size of the volume of a cache that a spec fills, or whose memory it limits, or which it compares with one in DRAM.
const Largest = 2 << 30

// Bounded renders a profile's kustomization with changes for a spec that fills the cache, which would take hours with a volume of a TiB, or
// limits its memory. What the spec shows is about a cache of that size, which the report notes.
func Bounded(e *framework.Env, profile spec.Profile, ch deploy.Changes) *deploy.Manifest {
	return e.Variant(profile, Bound(e, profile, ch))
}

// Bound are changes with which the volume is not larger than [Largest].
func Bound(e *framework.Env, profile spec.Profile, ch deploy.Changes) deploy.Changes {
	v, err := e.Manifest(profile).Volume()
	if err != nil {
		return ch
	}
	ch, remark := bound(v.Size, ch)
	if remark != "" {
		e.Note("size", "%s", remark)
	}
	return ch
}

func bound(written resource.Quantity, ch deploy.Changes) (_ deploy.Changes, remark string) {
	if ch.VolumeSize.IsZero() && written.Value() > Largest {
		ch.VolumeSize = *resource.NewQuantity(Largest, resource.BinarySI)
	}
	if !ch.VolumeSize.IsZero() && ch.VolumeSize.Cmp(written) != 0 {
		remark = fmt.Sprintf("the volume has %s as written, and is examined with %s", written.String(), ch.VolumeSize.String())
	}
	return ch, remark
}

// Apply makes the objects of a profile's kustomization and waits for nothing.
func Apply(ctx context.Context, e *framework.Env, profile spec.Profile, ch deploy.Changes) *deploy.Deployment {
	m := e.Variant(profile, ch)
	d, err := m.Apply(ctx, e.Cluster, e.Waiter, e.Ledger)
	e.NoError(err, "apply %s", m.Dir)
	return d
}

// FirstPod is the first pod that a deployment makes.
func FirstPod(ctx context.Context, e *framework.Env, d *deploy.Deployment) *corev1.Pod {
	pods, err := AwaitPods(ctx, e, d, wait.PodRuns, "a pod of "+Name(d), func(pods []corev1.Pod) bool { return len(pods) > 0 })
	e.NoError(err, "find the pod of %s", Name(d))
	return &pods[0]
}

// Patch changes the workload of a deployment and waits for nothing.
func Patch(ctx context.Context, e *framework.Env, d *deploy.Deployment, patch string) {
	_, err := e.Cluster.Client.AppsV1().RESTClient().Patch(types.StrategicMergePatchType).
		Namespace(d.Namespace).Resource(strings.ToLower(d.Kind) + "s").Name(d.Name).Body([]byte(patch)).Do(ctx).Raw()
	e.NoError(err, "change %s", Name(d))
}

// AwaitPods waits until the pods of a deployment are as wanted.
func AwaitPods(ctx context.Context, e *framework.Env, d *deploy.Deployment, name wait.Name, what string, reached func([]corev1.Pod) bool) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	err := e.Watching(d.Namespace, cluster.Pods).Until(ctx, name, what, func(ctx context.Context) (bool, string, error) {
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

// Ready is [Readiness] of a pod that is Ready.
const Ready = "Ready"

// Readiness is [Ready], or what the condition of a pod that is not Ready says.
func Readiness(p *corev1.Pod) string {
	if podutils.IsPodReady(p) {
		return Ready
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return fmt.Sprintf("not Ready: %s %s", c.Reason, c.Message)
		}
	}
	return "not Ready: no such condition"
}

// OnlyOf reports whether addresses are of a pod and there is one at least.
func OnlyOf(p *corev1.Pod, addresses []string) bool {
	own := []string{p.Status.PodIP}
	for _, ip := range p.Status.PodIPs {
		own = append(own, ip.IP)
	}
	return len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !slices.Contains(own, a) })
}
