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

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

// tooSmall is less than the 39 MiB that memcached needs with its default settings;
// the others are around it and above. Measured, manifests/README.md.
const tooSmall = "16Mi"

var volumeSizes = []string{tooSmall, "48Mi", "64Mi", "100Mi"}

var _ = framework.It(spec.Spec{
	ID: "EPH-22", Title: "a volume of any size gives a cache that serves or reports how much memory it needs, and one without a size is refused",
	Covers: []spec.ReqID{"EPH-21", "EPH-22", "EPH-23"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"sizes"}, Budget: 10 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	var all []*deploy.Deployment
	inline := forSmallVolumes(e, e.Manifest(spec.Ephemeral))
	for _, size := range volumeSizes {
		namespace := e.Namespace + "-" + strings.ToLower(size)
		e.MakeNamespace(ctx, namespace)
		all = append(all, workload.Apply(ctx, e, spec.Ephemeral, deploy.Changes{Namespace: namespace, VolumeSize: resource.MustParse(size), Inline: inline}))
	}
	unsized := workload.Apply(ctx, e, spec.Ephemeral, deploy.Changes{
		Namespace: e.Namespace, Inline: deploy.InlineChange{Attributes: map[string]string{"size": ""}}})

	pod := workload.FirstPod(ctx, e, unsized)
	event, err := events.AwaitWarning(ctx, e, "pod", pod, "FailedMount", `parameter "size"`)
	e.Expect("EPH-23", "an event names the missing size", framework.Name("pod", pod), err, framework.Succeed)
	e.Note("no size", "%s", event)
	pod = workload.FirstPod(ctx, e, unsized)
	e.Expect("EPH-23", "the pod does not start", framework.Name("pod", pod), pod.Status.Phase, gomega.Equal(corev1.PodPending))
	for i, d := range all {
		expectServesOrReports(ctx, e, d, volumeSizes[i])
	}
})

// forSmallVolumes replaces xfs by ext4. mkfs.xfs refuses volumes that are too small
// for a cache, so that nothing of the deployment would start; and the driver, up to
// v1.1.0, keeps the memory of an inline volume on which it could not make a
// filesystem (createEphemeralDevice of PMEM-CSI's nodeserver.go: the kubelet does
// not request its removal then).
func forSmallVolumes(e *framework.Env, m *deploy.Manifest) deploy.InlineChange {
	v, err := m.Volume()
	if err != nil || v.FSType != "xfs" {
		return deploy.InlineChange{}
	}
	e.Note("filesystem", "ext4 in place of xfs, which volumes as small as these cannot have")
	return deploy.InlineChange{FSType: "ext4"}
}

// amount is an amount of memory in a message.
var amount = regexp.MustCompile(`(?i)\b[0-9]+ ?(MiB|Mi|MB|megabytes?)\b`)

// expectServesOrReports examines a deployment with a volume of some size.
func expectServesOrReports(ctx context.Context, e *framework.Env, d *deploy.Deployment, size string) {
	object := workload.Name(d) + " with " + size
	e.Step("await a cache on a volume of %s", size)
	if err := d.Ready(ctx); err != nil {
		p := workload.FirstPod(ctx, e, d)
		where, log := complaint(ctx, e, p)
		e.Note(size, "%s: %s", where, lastLine(log))
		e.Expect("EPH-22", "a container that does not serve reports how much memory it needs", object, log, gomega.MatchRegexp(amount.String()))
		if size == tooSmall {
			e.Expect("EPH-21", "the pod fails before memcached is started", object, where, gomega.HavePrefix("init container"))
			// It comes with the second start, some seconds after the first failure.
			_, err := events.AwaitWarning(ctx, e, "pod", p, "BackOff")
			e.Expect("EPH-21", "an event reports the failure", object, err, framework.Succeed)
			e.Expect("EPH-21", "the container memcached has not started", object, cache.Status(p).RestartCount, gomega.BeZero())
		}
		return
	}
	if size == tooSmall {
		e.Expect("EPH-21", "a volume of "+size+" is too small for a cache", object, workload.Ready, gomega.Not(gomega.Equal(workload.Ready)))
	}
	p := workload.Pod(ctx, e, d)
	cache.ExpectStores(ctx, e, "EPH-22", p)
	client := cache.Connect(ctx, e, p)
	defer client.Close()
	e.Note(size, "serves with %d MiB", cache.Number(e, cache.Stats(ctx, e, client, ""), "limit_maxbytes")/cache.MiB)
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
