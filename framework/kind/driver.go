package kind

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/lab/addons"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/readiness"
)

// driverReference is the driver's image as its release names it.
const driverReference = "intel/pmem-csi-driver:v1.1.0"

func (c *Cluster) rest() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst, config.WarningHandler = 100, 200, rest.NoWarnings{}
	return config, nil
}

// install creates PMEM-CSI as the lab does, in LVM mode, and makes the worker one of its nodes.
func (c *Cluster) install(ctx context.Context, _ *state) error {
	config, err := c.rest()
	if err != nil {
		return err
	}
	res, err := resources.New(config)
	if err != nil {
		return err
	}
	if err := addons.Driver(ctx, res, c.opts.Release, pmemcsi.LVM, addons.UseImages(c.image), c.shortenDelay, takeNothing); err != nil {
		return err
	}
	// The volume group is there, so the driver need not convert anything, and is
	// started at once.
	name, value, _ := strings.Cut(pmemcsi.Direct.Label(), "=")
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, name, value)
	worker := &corev1.Node{}
	if err := res.Get(ctx, c.worker(), "", worker); err != nil {
		return err
	}
	return res.Patch(ctx, worker, k8s.Patch{PatchType: types.MergePatchType, Data: patch})
}

// image is the one of the archives with the same name, or the given one, which
// the worker pulls.
func (c *Cluster) image(reference string) (string, error) {
	if found := images.Named(c.archives, images.Name(reference)); len(found) > 0 {
		return found[0], nil
	}
	return reference, nil
}

// shortenDelay is addons.ShortenDelay where the external-provisioner is a newer
// one than that of the release, which does not know the argument.
func (c *Cluster) shortenDelay(obj k8s.Object) error {
	if len(images.Named(c.archives, "csi-provisioner")) == 0 {
		return nil
	}
	return addons.ShortenDelay(obj)
}

// takeNothing has the driver use the volume groups that are there. By default
// it makes namespaces of whatever is free in any region of the machine.
func takeNothing(obj k8s.Object) error {
	set, ok := obj.(*appsv1.DaemonSet)
	if !ok {
		return nil
	}
	for i, container := range set.Spec.Template.Spec.Containers {
		for j, arg := range container.Command {
			if strings.HasPrefix(arg, "-pmemPercentage=") {
				set.Spec.Template.Spec.Containers[i].Command[j] = "-pmemPercentage=0"
			}
		}
	}
	return nil
}

func (c *Cluster) awaitDriver(ctx context.Context, _ *state) error {
	config, err := c.rest()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	checker := readiness.Checker{Client: client, Waiter: c.opts.Waiter, Progress: c.opts.Progress}
	if err := checker.AwaitDriverOn(ctx, c.worker()); err != nil {
		return err
	}
	return checker.AwaitDNS(ctx)
}
