package e2e

import (
	"context"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-24", Title: "an update of memcached keeps the cache, and a return to the older release serves",
	Covers: []spec.ReqID{"RST-24", "RST-25"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.OtherMemcached},
	Tags: []string{"restart", "update"}, Budget: 6 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-24", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	image := deploy.MemcachedContainer(p.Spec).Image
	// Which of the two is the newer one is not known, so both ways are gone.
	p = updated(ctx, e, d, p, e.Config.Deploy.OtherImage, "there")
	updated(ctx, e, d, p, image, "back")
})

// withoutOldestLive is the first release whose state file lacks a line that
// older ones want.
var withoutOldestLive = version.MustParseGeneric("1.6.25")

// updated has the workload run another image, examines what became of the
// cache, and returns the pod.
func updated(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod, image, epoch string) *corev1.Pod {
	before, items := cache.Version(ctx, e, p), stock.Of(epoch)
	stock.StoreIn(ctx, e, p, items)
	e.Step("from memcached %s to image %s", before, image)
	err := d.SetImage(ctx, image)
	req := spec.ReqID("RST-24")
	if err == nil {
		p = workload.Pod(ctx, e, d)
		if cache.Version(ctx, e, p).LessThan(before) {
			req = "RST-25"
		}
	}
	e.Require(req, "with image "+image+" in place of memcached "+before.String()+" the deployment becomes ready", workload.Name(d), err, framework.Succeed)
	now := cache.Version(ctx, e, p)
	name := framework.Name("pod", p)
	served := stock.ServedBy(ctx, e, p, items)
	switch {
	case now.EqualTo(before):
		e.Require("RST-24", "the two images have different releases of memcached", name, now.String(), gomega.Not(gomega.Equal(before.String())))
	case before.LessThan(now):
		e.Expect("RST-24", "memcached "+now.String()+" serves the items of "+before.String(), name, served, gomega.Equal(stock.All(items)))
	case before.AtLeast(withoutOldestLive) && now.LessThan(withoutOldestLive):
		e.Expect("RST-25", "memcached "+now.String()+" serves none of the items of "+before.String(), name, served, gomega.Equal(stock.None(items)))
	default:
		e.Expect("RST-25", "memcached "+now.String()+" serves all items of "+before.String()+" or none", name, served, gomega.BeElementOf(stock.All(items), stock.None(items)))
	}
	return p
}
