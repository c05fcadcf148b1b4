package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// tooSmall has no room for the 39 MiB that memcached needs with its default
// settings, the others are around it and above. Measured, manifests/README.md.
const tooSmall = "16Mi"

var volumeSizes = []string{tooSmall, "48Mi", "64Mi", "100Mi"}

var _ = framework.It(spec.Spec{
	ID: "EPH-22", Title: "a volume of any size gives a cache that serves or says what it needs, and one without a size is refused",
	Covers: []spec.ReqID{"EPH-21", "EPH-22", "EPH-23"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"sizes"}, Budget: 10 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	var all []*deploy.Deployment
	inline := forSmallVolumes(e, e.Manifest(spec.Ephemeral))
	for _, size := range volumeSizes {
		namespace := e.Namespace + "-" + strings.ToLower(size)
		e.MakeNamespace(ctx, namespace)
		all = append(all, apply(ctx, e, spec.Ephemeral, deploy.Changes{Namespace: namespace, VolumeSize: resource.MustParse(size), Inline: inline}))
	}
	unsized := apply(ctx, e, spec.Ephemeral, deploy.Changes{
		Namespace: e.Namespace, Inline: deploy.InlineChange{Attributes: map[string]string{"size": ""}}})

	pod := firstPod(ctx, e, unsized)
	event, err := awaitEvent(ctx, e, "pod", pod, "FailedMount", `parameter "size"`)
	e.Expect("EPH-23", "an event names the size that is missing", framework.Name("pod", pod), err, framework.Succeed)
	e.Note("no size", event)
	pod = firstPod(ctx, e, unsized)
	e.Expect("EPH-23", "the pod does not start", framework.Name("pod", pod), pod.Status.Phase, gomega.Equal(corev1.PodPending))
	for i, d := range all {
		expectServesOrTells(ctx, e, d, volumeSizes[i])
	}
})

// forSmallVolumes has a deployment with xfs take ext4. mkfs.xfs refuses volumes
// that are too small for a cache, so that nothing of the deployment would start;
// and the driver, up to v1.1.0, keeps the memory of an inline volume on which it
// could not make a filesystem (createEphemeralDevice of PMEM-CSI's
// nodeserver.go, which the kubelet then does not ask to remove it).
func forSmallVolumes(e *framework.Env, m *deploy.Manifest) deploy.InlineChange {
	v, err := m.Volume()
	if err != nil || v.FSType != "xfs" {
		return deploy.InlineChange{}
	}
	e.Note("filesystem", "ext4 in place of xfs, which volumes as small as these cannot have")
	return deploy.InlineChange{FSType: "ext4"}
}

// apply makes the objects of a profile's kustomization and waits for nothing.
func apply(ctx context.Context, e *framework.Env, profile spec.Profile, ch deploy.Changes) *deploy.Deployment {
	m := e.Variant(profile, ch)
	d, err := m.Apply(ctx, e.Cluster, e.Waiter, e.Ledger)
	e.NoError(err, "apply %s", m.Dir)
	return d
}

// firstPod is the first pod that a deployment makes.
func firstPod(ctx context.Context, e *framework.Env, d *deploy.Deployment) *corev1.Pod {
	workload := fmt.Sprintf("%s %s/%s", d.Kind, d.Namespace, d.Name)
	pods, err := awaitPods(ctx, e, d, wait.PodRuns, "a pod of "+workload, func(pods []corev1.Pod) bool { return len(pods) > 0 })
	e.NoError(err, "find the pod of %s", workload)
	return &pods[0]
}

// amount is how much memory a message asks for.
var amount = regexp.MustCompile(`(?i)\b[0-9]+ ?(MiB|Mi|MB|megabytes?)\b`)

// expectServesOrTells examines a deployment with a volume of some size.
func expectServesOrTells(ctx context.Context, e *framework.Env, d *deploy.Deployment, size string) {
	workload := fmt.Sprintf("%s %s/%s with %s", d.Kind, d.Namespace, d.Name, size)
	e.Step("see what becomes of a volume of %s", size)
	if err := d.Ready(ctx); err != nil {
		p := firstPod(ctx, e, d)
		where, log := complaint(ctx, e, p)
		e.Note(size, where+": "+lastLine(log))
		e.Expect("EPH-22", "a container that does not serve says how much memory it needs ("+where+")", workload, log, gomega.MatchRegexp(amount.String()))
		if size == tooSmall {
			e.Expect("EPH-21", "the pod fails before memcached is started", workload, where, gomega.HavePrefix("init container"))
			lines, err := eventsOf(ctx, e, p.Namespace, p.UID)
			e.NoError(err, "read the events of %s", framework.Name("pod", p))
			e.Expect("EPH-21", "an event tells of the failure", workload, strings.Join(lines, "\n"), gomega.ContainSubstring("BackOff"))
			e.Expect("EPH-21", "the container memcached has not started", workload, memcachedStatus(p).RestartCount, gomega.BeZero())
		}
		return
	}
	if size == tooSmall {
		e.Expect("EPH-21", "a volume of "+size+" is too small for a cache", workload, "it is Ready", gomega.BeEmpty())
	}
	p := pod(ctx, e, d)
	expectKeyStored(ctx, e, "EPH-22", p)
	client := connect(ctx, e, p)
	defer client.Close()
	e.Note(size, fmt.Sprintf("serves with %d MiB", number(e, stats(ctx, e, client, ""), "limit_maxbytes")/mib))
}

// complaint is the log of the first container of a pod that has failed.
func complaint(ctx context.Context, e *framework.Env, p *corev1.Pod) (where, log string) {
	for _, kind := range []struct {
		name     string
		statuses []corev1.ContainerStatus
	}{{"init container", p.Status.InitContainerStatuses}, {"container", p.Status.ContainerStatuses}} {
		for _, s := range kind.statuses {
			ended := s.State.Terminated
			previous := ended == nil
			if previous {
				ended = s.LastTerminationState.Terminated
			}
			if ended == nil || ended.ExitCode == 0 {
				continue
			}
			log, err := e.Cluster.Logs(ctx, p.Namespace, p.Name, s.Name, previous)
			e.NoError(err, "read the log of container %s of %s", s.Name, framework.Name("pod", p))
			return fmt.Sprintf("%s %s, exit code %d", kind.name, s.Name, ended.ExitCode), log
		}
	}
	return "no container has failed", ""
}
