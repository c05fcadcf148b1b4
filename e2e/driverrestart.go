package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "DRV-19", Title: "memcached goes on to serve while the driver restarts, on the same mount and with the same memory file",
	Covers: []spec.ReqID{"DRV-19"}, Level: spec.Must, Profile: spec.Driver,
	Needs: []spec.Feature{spec.InlineVolume, spec.NodeAccess, spec.Disruption}, Tags: []string{"driver", disruptive}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "DRV-19", e.Manifest(spec.Ephemeral))
	p := pod(ctx, e, d)
	c := inspect(ctx, e, "DRV-19", p)
	clients, end := loadClients(ctx, e, d, 1)
	for _, r := range loadDuring(ctx, e, d, clients, func() { restartDriver(ctx, e, p.Spec.NodeName) }) {
		e.Note("load", r.String())
		expectRight(e, "DRV-19", c.name+" while the driver restarts", r)
	}
	end()

	now, err := e.Cluster.Client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, getOptions)
	e.NoError(err, "read %s", c.name)
	e.Expect("DRV-19", "memcached did not restart", c.name, memcachedStatus(now).RestartCount, gomega.Equal(memcachedStatus(p).RestartCount))
	after := inspect(ctx, e, "DRV-19", now)
	e.Expect("DRV-19", "the mount is the same (device)", c.name, after.mount.Number+" "+after.mount.Device, gomega.Equal(c.mount.Number+" "+c.mount.Device))
	mapped, err := pmem.Maps(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, after.process.PID, after.file.Path)
	e.NoError(err, "read the mappings of memcached")
	e.Expect("DRV-19", "the memory file is mapped as before", c.name, mapped, gomega.BeTrue())
	_, dev := expectPMEM(ctx, e, "DRV-19", after, requestedSize(d))
	e.Note("device", dev.name)
})

// loadDuring loads a deployment for as long as something takes that is done
// meanwhile, in one sample after the other.
func loadDuring(ctx context.Context, e *framework.Env, d *deploy.Deployment, clients *bench.Clients, meanwhile func()) []load.Result {
	s := bench.GetHeavy(e.Config.Sample())
	o := s.Load
	o.Owned, o.Gets, o.Sets, o.Keys, o.Addr = true, 3, 1, 2000, serviceAddr(ctx, e, d)
	type loaded struct {
		results []load.Result
		err     error
	}
	stop, done := make(chan struct{}), make(chan loaded, 1)
	go func() {
		var l loaded
		for {
			r, err := clients.Load(ctx, o)
			if err != nil {
				done <- loaded{l.results, err}
				return
			}
			l.results = append(l.results, r)
			select {
			case <-stop:
				done <- l
				return
			default:
			}
		}
	}()
	meanwhile()
	close(stop)
	l := <-done
	e.NoError(l.err, "load %s", o.Addr)
	return l.results
}

// restartDriver removes the driver's pod on a node and waits until another is
// Ready there.
func restartDriver(ctx context.Context, e *framework.Env, node string) {
	old, err := pmem.FindNodeDriver(ctx, e.Cluster, node)
	e.NoError(err, "find the driver on node %s", node)
	e.Step("restart the driver on node %s", node)
	err = e.Cluster.Client.CoreV1().Pods(old.Namespace).Delete(ctx, old.Pod, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		e.NoError(err, "remove pod %s/%s", old.Namespace, old.Pod)
	}
	err = e.Waiter.Until(ctx, wait.DriverReady, "another pod of the driver to be Ready on node "+node, func(ctx context.Context) (bool, string, error) {
		nd, err := pmem.FindNodeDriver(ctx, e.Cluster, node)
		if err != nil {
			return false, "", err
		}
		return nd.Pod != old.Pod, fmt.Sprintf("pod %s", nd.Pod), nil
	})
	e.NoError(err, "restart the driver on node %s", node)
}
