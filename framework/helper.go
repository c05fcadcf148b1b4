package framework

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/wait"
)

// HelperImage is the image of the suite's own pods next to a deployment: memcached's if that has a shell, or else the first that has one
// of the deployment's other images and that of the driver, which its nodes have. Without one the spec ends.
func (e *Env) HelperImage(ctx context.Context, m *deploy.Manifest) string {
	ginkgo.GinkgoHelper()
	if m.StartsShell() {
		return m.Image()
	}
	images := m.Images()
	if drivers, _, err := pmem.FindNodeDrivers(ctx, e.Cluster); err == nil {
		for _, d := range drivers {
			if image := d.Image(); image != "" && !slices.Contains(images, image) {
				images = append(images, image)
			}
		}
	}
	key := strings.Join(images, " ")
	chosen, known := e.suite.helpers.Load(key)
	if !known {
		chosen = e.probeHelper(ctx, m, images)
		e.suite.helpers.Store(key, chosen)
	}
	image, _ := chosen.(string)
	if image != m.Image() {
		e.noteOnce("image of the suite's own pods", fmt.Sprintf("%s: %s has no shell with cat, chmod, head and sleep", image, m.Image()))
	}
	return image
}

func (e *Env) probeHelper(ctx context.Context, m *deploy.Manifest, images []string) string {
	ginkgo.GinkgoHelper()
	e.Step("find an image with a shell for pods of the suite")
	e.NoError(m.Prepare(ctx, e.Cluster, e.Ledger), "prepare namespace %s for a pod", m.Namespace)
	pod := e.StartPod(ctx, m.HelperProbe(images))
	ended, err := deploy.AwaitPod(ctx, e.Cluster, e.Waiter, wait.PodEnds, Name("pod", pod)+" to try images", pod, deploy.HelperProbed)
	image, ok := deploy.ChooseHelper(ended)
	if !ok && err == nil {
		err = fmt.Errorf("none of %s has a shell with cat, chmod, head and sleep", strings.Join(images, ", "))
	}
	if !ok {
		e.NoError(err, "find an image for pods of the suite")
	}
	e.RemovePod(ctx, pod)
	return image
}
