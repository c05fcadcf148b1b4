package e2e

import (
	"context"
	"fmt"
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
	// Either may be the newer release, so both directions are examined.
	p = updated(ctx, e, d, p, e.Config.Deploy.OtherImage, "there")
	updated(ctx, e, d, p, image, "back")
})

// withoutOldestLive is the first release whose state file lacks a line that older
// releases require.
var withoutOldestLive = version.MustParseGeneric("1.6.25")

// updated changes the image of the workload, examines the cache, and returns the
// new pod.
func updated(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod, image, epoch string) *corev1.Pod {
	before, items := cache.Version(ctx, e, p), stock.Of(epoch)
	stock.StoreIn(ctx, e, p, items)
	e.Step("from memcached %s to image %s", before, image)
	err := d.SetImage(ctx, image)
	req := spec.ReqID("RST-24")
	if err == nil {
		p = workload.Pod(ctx, e, d)
		if cache.Version(ctx, e, p).LessThan(before) {
			if !e.Holds("RST-25", before.String()) {
				return p
			}
			req = "RST-25"
		}
	}
	e.Require(req, "with another image the deployment becomes ready", fmt.Sprintf("%s, image %s in place of memcached %s", workload.Name(d), image, before), err, framework.Succeed)
	now := cache.Version(ctx, e, p)
	name := framework.Name("pod", p)
	served := stock.ServedBy(ctx, e, p, items).After(fmt.Sprintf("memcached %s after %s", now, before))
	switch {
	case now.EqualTo(before):
		e.Require("RST-24", "the two images have different releases of memcached", name, now.String(), gomega.Not(gomega.Equal(before.String())))
	case before.LessThan(now):
		e.Expect("RST-24", "a newer memcached serves the items of the older one", name, served, stock.All())
	case before.AtLeast(withoutOldestLive) && now.LessThan(withoutOldestLive):
		e.Expect("RST-25", "a memcached older than 1.6.25 serves no item of a newer one", name, served, stock.None())
	default:
		e.Expect("RST-25", "an older memcached serves all items of a newer one or none", name, served, stock.AllOrNone())
	}
	return p
}
