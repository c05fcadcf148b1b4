package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/wait"
)

// Loading is called before clients put a deployment under load, perhaps next to controls. The function that it returns takes the result,
// and ends the spec if that is an error. It is the deployment's fault when its memcached did not store what a load began with, or has
// ended since, and nobody's when a control did not. When the clients had no connection, it names the policies that may be the reason.
func Loading(ctx context.Context, e *framework.Env, clients *bench.Clients, d *deploy.Deployment, controls ...*deploy.Deployment) (loaded func(err error, attempted string)) {
	pods, err := d.Pods(ctx)
	e.NoError(err, "list the pods of %s", workload.Name(d))
	before := runningIn(pods)
	return func(err error, attempted string) {
		server, answered := errors.AsType[*bench.ServerError](err)
		switch {
		case answered && isOf(ctx, e, controls, server.Addr):
			err = fault.OfInfrastructure(err)
		case err != nil && fault.Of(err) != fault.Infrastructure:
			if how := awaitEnd(ctx, e, d, before); how != "" {
				err = fault.OfDeployment(fmt.Errorf("%w; %s", err, how))
			} else if !answered {
				err = explained(ctx, e, clients, err, append(controls, d))
			}
		}
		e.NoError(err, "%s", attempted)
	}
}

// Load has clients load a deployment. It ends the spec if that fails, see [Loading].
func Load(ctx context.Context, e *framework.Env, clients *bench.Clients, d *deploy.Deployment, o load.Options, attempted string) load.Result {
	loaded := Loading(ctx, e, clients, d)
	r, err := clients.Load(ctx, o)
	loaded(err, attempted)
	return r
}

// isOf reports whether an address is that of one of some deployments.
func isOf(ctx context.Context, e *framework.Env, deployments []*deploy.Deployment, addr string) bool {
	return slices.ContainsFunc(deployments, func(d *deploy.Deployment) bool { return Addr(ctx, e, d) == addr })
}

// awaitEnd returns how a memcached ended that ran before; empty when all still run after a while.
func awaitEnd(ctx context.Context, e *framework.Env, d *deploy.Deployment, before map[types.UID]string) (how string) {
	_ = e.Watching(d.Namespace, cluster.Pods).Until(ctx, wait.MemcachedEnded, "memcached to have ended under load", func(ctx context.Context) (bool, string, error) {
		pods, err := d.Pods(ctx)
		if err != nil {
			return false, "", err
		}
		how = endIn(pods, before)
		return how != "", "memcached has not ended", nil
	}) // that none ends is an answer, too
	return how
}

// runningIn has the ID of memcached's container by pod.
func runningIn(pods []corev1.Pod) map[types.UID]string {
	ids := map[types.UID]string{}
	for i := range pods {
		ids[pods[i].UID] = cache.Status(&pods[i]).ContainerID
	}
	return ids
}

// endIn says how the first memcached ended that ran before and does not any more; empty when all run. A pod that is new or gone has none.
func endIn(pods []corev1.Pod, before map[types.UID]string) string {
	for i := range pods {
		p := &pods[i]
		s := cache.Status(p)
		id, known := before[p.UID]
		if !known || s.ContainerID == id && s.State.Running != nil {
			continue
		}
		end := s.LastTerminationState.Terminated
		if s.State.Terminated != nil {
			end = s.State.Terminated
		}
		if end != nil {
			return fmt.Sprintf("memcached of %s %s meanwhile", framework.Name("pod", p), cache.End(end))
		}
	}
	return ""
}
