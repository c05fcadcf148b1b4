package e2e

import (
	"context"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "EPH-24", Title: "with a generic ephemeral volume the cache is on persistent memory, too, and its claim lives as long as the pod",
	Covers: []spec.ReqID{"EPH-24"}, Level: spec.Must, Profile: spec.Ephemeral,
	Needs: []spec.Feature{spec.DAX, spec.NodeAccess}, Tags: []string{"generic"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	class := storage.MakeClass(ctx, e, storage.DriverName(ctx, e), "late", storagev1.VolumeBindingWaitForFirstConsumer, nil)
	d := e.Deploy(ctx, "EPH-24", e.Variant(spec.Ephemeral, deploy.Changes{Namespace: e.Namespace, VolumeClass: class.Name}))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "EPH-24", p)
	nd, dev := placement.ExpectPMEM(ctx, e, "EPH-24", c, workload.RequestedSize(d))
	cache.ExpectStores(ctx, e, "EPH-24", p)

	claim := storage.OfMemoryFile(ctx, e, "EPH-24", d, p)
	name := framework.Name("claim", claim)
	owner := "no controller"
	if o := metav1.GetControllerOf(claim); o != nil {
		owner = o.Kind + " " + string(o.UID)
	}
	e.Expect("EPH-24", "the claim belongs to the pod", name, owner, gomega.Equal("Pod "+string(p.UID)))
	e.Expect("EPH-24", "the claim is bound", name, claim.Status.Phase, gomega.Equal(corev1.ClaimBound))

	e.Step("delete %s", d.Dir)
	e.NoError(d.Delete(ctx), "delete %s", d.Dir)
	err := e.Waiter.Until(ctx, wait.ClaimsGone, "the removal of "+name, func(ctx context.Context) (bool, string, error) {
		left, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, "gone", nil
		}
		if err != nil {
			return false, "", err
		}
		return left.UID != claim.UID, string(left.Status.Phase), nil
	})
	e.Expect("EPH-24", "the claim is deleted with the pod", name, err, framework.Succeed)
	placement.AwaitFreed(ctx, e, "EPH-24", nd, dev, c.Mount)
})
