package e2e

import (
	"context"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/disrupt"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "OPS-09E", Title: "an ephemeral pod moves from a drained node to another one with persistent memory",
	Covers: []spec.ReqID{"OPS-09"},
	Level:  spec.Must, Profile: spec.Ephemeral,
	Needs: []spec.Feature{spec.Disruption, spec.SecondNode, spec.InlineVolume, spec.NodeAccess},
	Tags:  []string{"restart", disrupt.Tag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "OPS-09", e.Manifest(spec.Ephemeral))
	p := workload.Pod(ctx, e, d)
	items, fresh := stock.Of("before"), stock.Of("since")
	stock.StoreIn(ctx, e, p, items)

	disrupt.Drain(ctx, e, d, p)
	workload.AwaitReplaced(ctx, e, d, p)
	e.Require("OPS-09", "once its node was drained the deployment becomes ready elsewhere", workload.Name(d), d.Ready(ctx), framework.Succeed)
	q := workload.Pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("OPS-09", "the pod has left the node that was drained", name, q.Spec.NodeName, gomega.Not(gomega.Equal(p.Spec.NodeName)))
	e.Expect("OPS-09", "no item from before the drain is served", name, stock.ServedBy(ctx, e, q, items), stock.None())
	placement.ExpectPMEM(ctx, e, "OPS-09", cache.Inspect(ctx, e, "OPS-09", q), workload.RequestedSize(d))
	stock.StoreIn(ctx, e, q, fresh)
	e.Expect("OPS-09", "items stored since the drain are served", name, stock.ServedBy(ctx, e, q, fresh), stock.All())
})

var _ = framework.It(spec.Spec{
	ID: "OPS-09P", Title: "a persistent pod waits for its drained node, although another node is free, and then starts warm",
	Covers: []spec.ReqID{"OPS-09", "RST-07"},
	Level:  spec.Must, Profile: spec.Persistent,
	Needs: []spec.Feature{spec.Disruption, spec.SecondNode, spec.NodeAccess},
	Tags:  []string{"restart", disrupt.Tag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "OPS-09", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	items := stock.Of("kept")
	stock.StoreIn(ctx, e, p, items)

	uncordon := disrupt.Drain(ctx, e, d, p)
	downLongEnough := workload.AwaitDowntime(ctx, e)
	disrupt.ExpectUnschedulable(ctx, e, d, "OPS-09")
	downLongEnough()
	e.NoError(uncordon(ctx), "uncordon node %s", p.Spec.NodeName)
	e.Require("RST-07", "the pod starts once its node accepts pods again", workload.Name(d), d.Ready(ctx), framework.Succeed)
	q := workload.Pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("OPS-09", "the pod is on the node of its volume", name, q.Spec.NodeName, gomega.Equal(p.Spec.NodeName))
	e.Expect("RST-07", "after its node was drained, every item is served", name, stock.ServedBy(ctx, e, q, items), stock.All())
})
