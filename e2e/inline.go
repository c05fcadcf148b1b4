package e2e

import (
	"context"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

// An inlineRequest is a pod with an inline volume that has to be refused.
type inlineRequest struct {
	req        spec.ReqID
	says       string
	attributes map[string]string
	refusal    string
	pod        *corev1.Pod
}

var inlineRequests = []inlineRequest{
	{req: "DRV-10", says: "persistencyModel, which only claims have", attributes: map[string]string{"size": "4Mi", "persistencyModel": "normal"}, refusal: invalid},
	{req: "DRV-09", says: "an unknown parameter", attributes: map[string]string{"size": "4Mi", "eraseAfter": "true"}, refusal: invalid},
	{req: "DRV-10", says: "an unknown usage", attributes: map[string]string{"size": "4Mi", "usage": "Memory"}, refusal: "unknown value"},
	{req: "DRV-10", says: "a size that is none", attributes: map[string]string{"size": "4 megabytes"}, refusal: `parameter "size"`},
	{req: "DRV-08", says: "Kata Containers with FileIO", attributes: map[string]string{"size": "4Mi", "kataContainers": "true", "usage": "FileIO"}, refusal: "mutually exclusive"},
}

// refusedInline makes the pods and waits for nothing.
func refusedInline(ctx context.Context, e *framework.Env, driver string) []inlineRequest {
	image := e.Manifest(spec.Ephemeral).Image()
	var all []inlineRequest
	for _, r := range inlineRequests {
		r.pod = e.StartPod(ctx, idlePod(e.Namespace, "inline-", image, inlineVolume(driver, "", r.attributes)))
		all = append(all, r)
	}
	return all
}

func expectInlineRefused(ctx context.Context, e *framework.Env, r inlineRequest) {
	name := framework.Name("pod", r.pod) + " with " + r.says
	event, err := awaitEvent(ctx, e, "pod", r.pod, "FailedMount", r.refusal)
	e.Expect(r.req, r.says+" is refused by an event", name, err, framework.Succeed)
	now, err := e.Cluster.Client.CoreV1().Pods(r.pod.Namespace).Get(ctx, r.pod.Name, getOptions)
	e.NoError(err, "read %s", name)
	e.Expect(r.req, "the pod does not start with "+r.says+" ("+event+")", name, now.Status.Phase, gomega.Equal(corev1.PodPending))
}
