package e2e

import (
	"context"
	"strings"
	"time"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.ItEach(spec.Spec{
	Title:  "two deployments run in parallel in two namespaces, and nothing is left of one that is deleted",
	Covers: []spec.ReqID{"KUS-07", "KUS-09", "OPS-08"},
	Level:  spec.Must, Needs: []spec.Feature{spec.NodeAccess}, Tags: []string{"customised"}, Budget: 8 * time.Minute,
}.In(
	spec.Mode{ID: "KUS-07", Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume}},
	spec.Mode{ID: "KUS-07P", Profile: spec.Persistent},
), func(ctx context.Context, e *framework.Env) {
	second := e.Namespace + "-second"
	e.MakeNamespace(ctx, second)
	both := e.DeployAll(ctx, "KUS-07", e.Manifest(e.Spec.Profile), e.Variant(e.Spec.Profile, deploy.Changes{Namespace: second}))
	mine, theirs := workload.Pod(ctx, e, both[0]), workload.Pod(ctx, e, both[1])
	client := cache.Connect(ctx, e, mine)
	e.NoError(client.Set(ctx, &memcached.Item{Key: "mine", Value: []byte("1")}), "store a value")
	client.Close()
	cache.ExpectStores(ctx, e, "KUS-07", theirs)
	cache.ExpectKey(ctx, e, "KUS-07", "what was stored in one is a miss in the other", theirs, "mine", cache.Miss)

	c := cache.Inspect(ctx, e, "OPS-08", theirs)
	nd, err := pmem.AwaitNodeDriver(ctx, e.Cluster, e.Waiter, theirs.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", theirs.Spec.NodeName)
	dev, _, err := placement.Backing(ctx, nd, c.Mount)
	e.NoError(err, "look at the persistent memory of node %s", nd.Node)
	e.Step("delete one of them")
	e.Expect("KUS-09", "everything that was applied can be deleted", both[1].Dir, both[1].Delete(ctx), framework.Succeed)
	e.Expect("OPS-08", "the claims of a deployment that was deleted can be deleted", both[1].Dir, both[1].DeleteClaims(ctx), framework.Succeed)
	err = e.Waiter.Until(ctx, wait.ObjectsGone, "all of "+workload.Name(both[1])+" to be gone", func(ctx context.Context) (bool, string, error) {
		left, err := workload.Left(ctx, e, both[1])
		return len(left) == 0, strings.Join(left, ", "), err
	})
	e.Expect("KUS-09", "nothing is left of a deployment that was deleted", "namespace "+second, err, framework.Succeed)
	placement.AwaitFreed(ctx, e, "OPS-08", nd, dev, c.Mount)
	cache.ExpectKey(ctx, e, "KUS-07", "the other deployment still serves its value", mine, "mine", "1")
})
