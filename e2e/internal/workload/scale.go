package workload

import (
	"context"
	"fmt"
	"time"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// downtime is more than the second in which memcached takes a restart for a
// clock that went back, and starts cold (memcached.c, restart callbacks).
const downtime = 1100 * time.Millisecond

// ScaleDown takes the deployment to no replicas. The function it returns ends
// once memcached was down long enough for a warm start.
func ScaleDown(ctx context.Context, e *framework.Env, d *deploy.Deployment) (downLongEnough func()) {
	e.Step("scale to 0")
	e.Ends("the pods end once they are scaled to 0", d, d.Scale(ctx, 0))
	return AwaitDowntime(ctx, e)
}

// AwaitDowntime is for a memcached that has just stopped. The function it returns
// ends once it was down long enough for a warm start.
func AwaitDowntime(ctx context.Context, e *framework.Env) func() {
	down := time.Now()
	precise := e.Waiter
	precise.Interval = 20 * time.Millisecond
	return func() {
		err := precise.Until(ctx, wait.Downtime, fmt.Sprintf("%s of downtime", downtime), func(context.Context) (bool, string, error) {
			passed := time.Since(down)
			return passed >= downtime, "down for " + passed.Round(time.Millisecond).String(), nil
		})
		e.NoError(err, "stay down")
	}
}

// ScaleUp takes the deployment to one replica that is ready. The spec ends with
// req not met when it does not become ready.
func ScaleUp(ctx context.Context, e *framework.Env, req spec.ReqID, d *deploy.Deployment) {
	Scale(ctx, e, req, d, 1)
}

// Scale is ScaleUp to any number of replicas.
func Scale(ctx context.Context, e *framework.Env, req spec.ReqID, d *deploy.Deployment, replicas int32) {
	e.Step("scale to %d", replicas)
	Comes(e, req, d, d.Scale(ctx, replicas))
}

// Comes requires that a deployment has come back after it was scaled, changed
// or restarted, of which err is the result.
func Comes(e *framework.Env, req spec.ReqID, d *deploy.Deployment, err error) {
	e.Serves(req, "the deployment becomes ready again", d, err)
}
