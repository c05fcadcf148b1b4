package e2e

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/disrupt"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "DRV-19", Title: "a restart of the driver harms no volume: memcached continues to serve from one, and another that nobody uses keeps its content",
	Covers: []spec.ReqID{"DRV-19", "RST-63"}, Level: spec.Must, Profile: spec.Driver,
	Needs: []spec.Feature{spec.InlineVolume, spec.NodeAccess, spec.Disruption}, Tags: []string{"driver", disrupt.Tag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "DRV-19", e.Manifest(spec.Ephemeral))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "DRV-19", p)
	expectKept := storeOnClaim(ctx, e, d, p)
	mounted := mountsOn(ctx, e, c)
	e.Expect("DRV-19", "the volume is mounted on the node for the pod", c.Name, mounted, gomega.Not(gomega.BeEmpty()))
	clients, end := traffic.Clients(ctx, e, d, 1)
	for _, r := range loadDuring(ctx, e, d, clients, func() { disrupt.RestartDriver(ctx, e, p.Spec.NodeName) }) {
		traffic.Note(e, "load", r)
		traffic.ExpectRight(e, "DRV-19", c.Name+" while the driver restarts", r)
	}
	end()
	expectKept()

	now, err := e.Cluster.Client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	e.NoError(err, "read %s", c.Name)
	e.Expect("DRV-19", "memcached did not restart", c.Name, cache.Restarts(now), gomega.Equal(cache.Restarts(p)))
	after := cache.Inspect(ctx, e, "DRV-19", now)
	e.Expect("DRV-19", "the mount is the same (device)", c.Name, after.Mount.Number+" "+after.Mount.Device, gomega.Equal(c.Mount.Number+" "+c.Mount.Device))
	// What the container has does not show it: its own mount stays until it is started again, and then has no volume.
	e.Expect("DRV-19", "the volume is mounted on the node for the pod as before", c.Name, mountsOn(ctx, e, c), gomega.Equal(mounted))
	mapping, err := cache.Mapping(ctx, e, after)
	e.NoError(err, "read the mappings of memcached")
	e.Expect("DRV-19", "the memory file is mapped as before", c.Name, mapping, gomega.Equal(cache.Mapped))
	_, dev := placement.ExpectPMEM(ctx, e, "DRV-19", after, workload.RequestedSize(d))
	e.Note("device", "%s", dev.Name)
})

// mountsOn are the paths on the node at which the volume of a cache is mounted for its pod.
func mountsOn(ctx context.Context, e *framework.Env, c cache.Cache) (paths []string) {
	nd, err := pmem.AwaitNodeDriver(ctx, e.Cluster, e.Waiter, c.Pod.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", c.Pod.Spec.NodeName)
	inventory, err := nd.Inventory(ctx)
	e.NoError(cmp.Or(err, inventory.Unread[pmem.PartMounts]), "read the mounts of node %s", nd.Node)
	for _, m := range inventory.Mounts {
		if m.Number == c.Mount.Number && strings.Contains(m.Path, string(c.Pod.UID)) {
			paths = append(paths, m.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// storeOnClaim stores a file on the volume of a claim, which no pod uses after
// that. The function it returns expects another pod on the claim to find it.
func storeOnClaim(ctx context.Context, e *framework.Env, d *deploy.Deployment, near *corev1.Pod) func() {
	class := storage.MakeClass(ctx, e, storage.DriverName(ctx, e), "idle", storagev1.VolumeBindingWaitForFirstConsumer, nil)
	claim := storage.MakeClaim(ctx, e, class.Name, "16Mi", corev1.PersistentVolumeFilesystem)
	user := func() *corev1.Pod {
		p := idle.Pod(ctx, e, d.Manifest, "idle-", idle.ClaimVolume("kept", claim))
		p.Spec.Affinity = idle.OnNode(near.Spec.NodeName)
		return e.RunPod(ctx, p)
	}
	content := cache.Marker()
	p := user()
	idle.Run(ctx, e, p, deploy.Container, "store a file", "sh", "-c", `echo "$1" >/kept/file && sync`, "sh", content)
	e.RemovePod(ctx, p)
	return func() {
		p := user()
		read := idle.Run(ctx, e, p, deploy.Container, "read the file", "sh", "-c", "cat /kept/file || true")
		e.Expect("RST-63", "a volume that nobody used while the driver restarted keeps its content", framework.Name("claim", claim), strings.TrimSpace(read), gomega.Equal(content))
		e.RemovePod(ctx, p)
	}
}

// loadDuring puts a deployment under load while meanwhile runs, in one sample
// after the other.
func loadDuring(ctx context.Context, e *framework.Env, d *deploy.Deployment, clients *bench.Clients, meanwhile func()) []load.Result {
	s := bench.GetHeavy(e.Config.Sample())
	o := s.Load
	o.Owned, o.Gets, o.Sets, o.Keys, o.Addr = true, 3, 1, 2000, traffic.Addr(ctx, e, d)
	type samples struct {
		results []load.Result
		err     error
	}
	loaded := traffic.Loading(ctx, e, clients, d)
	stop, done := make(chan struct{}), make(chan samples, 1)
	go func() {
		var s samples
		for {
			r, err := clients.Load(ctx, o)
			if err != nil {
				done <- samples{s.results, err}
				return
			}
			s.results = append(s.results, r)
			select {
			case <-stop:
				done <- s
				return
			default:
			}
		}
	}()
	meanwhile()
	close(stop)
	all := <-done
	loaded(all.err, "load "+o.Addr)
	return all.results
}
