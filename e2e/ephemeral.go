// Package e2e holds the specs. See README.md on how they are written and run.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workbench"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "EPH-01", Title: "a deployment with an inline volume serves through its Service and leaves nothing behind",
	Covers: []spec.ReqID{"EPH-01", "EPH-02", "EPH-09", "EPH-10", "EPH-11", "EPH-12", "EPH-14", "MC-05", "OBJ-01"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume, spec.NodeAccess},
	Tags: []string{spec.SmokeTag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-01", e.Manifest(spec.Ephemeral))
	p := workload.Pod(ctx, e, d)

	expectOnePod(ctx, e, d)
	expectInlineVolume(ctx, e, d, p)
	expectReached(ctx, e, d, p)
	expectInFile(ctx, e, cache.Inspect(ctx, e, "EPH-01", p), string(fill(ctx, e, p)[0].Value))

	nd, dev, mount := volumeOnNode(ctx, e, "EPH-14", d, p)
	e.Step("delete %s", d.Dir)
	e.NoError(d.Delete(ctx), "delete %s", d.Dir)
	placement.AwaitFreed(ctx, e, "EPH-14", nd, dev, mount)
})

var _ = framework.ItEach(spec.Spec{
	Title:  "the cache is in a memory file on persistent memory and uses the space of its volume",
	Covers: []spec.ReqID{"EPH-03", "EPH-04", "EPH-05", "EPH-06", "EPH-07", "EPH-08", "EPH-10", "EPH-11", "MC-01"},
	Level:  spec.Must, Needs: []spec.Feature{spec.DAX, spec.NodeAccess}, Budget: 8 * time.Minute,
}.In(
	spec.Mode{ID: "EPH-03", Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume}},
	// EPH-01 examines the rest of an ephemeral deployment, which it also removes.
	spec.Mode{ID: "EPH-03P", Profile: spec.Persistent, Covers: []spec.ReqID{"EPH-09", "EPH-12", "MC-05", "OBJ-01"}},
), func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-03", e.Manifest(e.Spec.Profile))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "EPH-08", p)
	e.Parallel(func() { expectAllocated(ctx, e, d, c) }, func() { expectOnPMEM(ctx, e, d, c) })
})

// expectAllocated looks at the memory file in another pod like that of the deployment, before memcached starts: with dax
// its first touch of each page of slabs may have the filesystem allocate what was not.
func expectAllocated(ctx context.Context, e *framework.Env, d *deploy.Deployment, c cache.Cache) {
	e.Expect("EPH-06", "the memory file is fully allocated (bytes)", c.Name, c.File.Allocated, gomega.BeNumerically(">=", c.File.Size))
	w := workbench.New(ctx, e, d, c, workbench.WithOwnClaims(ctx, e, c.Pod))
	e.Step("follow the start of a pod up to that of memcached")
	file, err := w.Blank(ctx)
	e.NoError(err, "look at the memory file in %s before memcached starts", w.Name)
	size := file.Size
	if size < c.File.Size-cache.MiB { // memcached would make or extend it
		size = c.File.Size
	}
	e.Expect("EPH-06", "the memory file is fully allocated before memcached starts (bytes)", w.Name, file.Allocated, gomega.BeNumerically(">=", size))
	w.Remove(ctx)
}

// expectInFile searches the memory file for a value that was stored, and for one that was not.
func expectInFile(ctx context.Context, e *framework.Env, c cache.Cache, stored string) {
	e.Expect("EPH-10", "a stored value is found in the memory file", c.Name, cache.SearchStored(ctx, e, c.Pod, c.File.Path, stored), gomega.Equal(cache.Found))
	e.Expect("EPH-11", "a value that was never stored is not found in the memory file", c.Name, cache.Search(ctx, e, c.Pod, c.File.Path, cache.Marker()), gomega.Equal(cache.NotFound))
}

// expectOnPMEM examines the memory file of a memcached that runs.
func expectOnPMEM(ctx context.Context, e *framework.Env, d *deploy.Deployment, c cache.Cache) {
	p := c.Pod
	placement.ExpectPMEM(ctx, e, "EPH-03", c, workload.RequestedSize(d))
	expectSize(e, c)

	client := cache.Connect(ctx, e, p)
	expectMemoryFileInUse(ctx, e, c, client)

	stored := cache.Marker()
	e.NoError(client.Set(ctx, &memcached.Item{Key: "in-memory-file", Value: []byte(stored)}), "store a value")
	expectInFile(ctx, e, c, stored)
	if e.Spec.Profile == spec.Persistent {
		expectReached(ctx, e, d, p)
	}

	expectLimitRefused(ctx, e, c, client)
	expectMapped(ctx, e, c)
}

var _ = framework.It(spec.Spec{
	ID: "EPH-13", Title: "a restart of the pod by scale 1, 0, 1 starts with an empty cache on a new volume",
	Covers: []spec.ReqID{"EPH-13"}, Level: spec.Must, Profile: spec.Ephemeral,
	Needs: []spec.Feature{spec.InlineVolume}, Tags: []string{"restart"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-13", e.Manifest(spec.Ephemeral))
	before := workload.Pod(ctx, e, d)
	value := cache.Marker()
	client := cache.Connect(ctx, e, before)
	err := client.Set(ctx, &memcached.Item{Key: "survivor", Value: []byte(value), Flags: 7})
	e.NoError(err, "store a value")
	_, err = client.Get(ctx, "survivor")
	e.NoError(err, "read the value back")
	client.Close()

	downLongEnough := workload.ScaleDown(ctx, e, d)
	downLongEnough()
	workload.ScaleUp(ctx, e, "EPH-13", d)

	after := workload.Pod(ctx, e, d)
	name := framework.Name("pod", after)
	e.Expect("EPH-13", "the pod is a new one", name, after.UID, gomega.Not(gomega.Equal(before.UID)))
	client = cache.Connect(ctx, e, after)
	e.Expect("EPH-13", "the cache is empty (curr_items)", name, cache.Stats(ctx, e, client, "")["curr_items"], gomega.Equal("0"))
	e.Expect("EPH-13", "a key from before the restart is a miss", name, cache.Lookup(ctx, e, client, "survivor"), gomega.Equal(cache.Miss))
	path := cache.MemoryFile(e, "EPH-13", after, cache.Process(ctx, e, after))
	e.Expect("EPH-13", "the new memory file does not hold the old value", name, cache.Search(ctx, e, after, path, value), gomega.Equal(cache.NotFound))
})

// expectOnePod expects the deployment to have one pod, which is Ready and which its Service selects.
func expectOnePod(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	pods, err := d.Pods(ctx)
	e.NoError(err, "list the pods of %s", workload.Name(d))
	service, err := e.Cluster.Client.CoreV1().Services(d.Namespace).Get(ctx, d.Service, metav1.GetOptions{})
	e.NoError(err, "read Service %s/%s", d.Namespace, d.Service)
	var ready, selected []string
	for i := range pods {
		if podutils.IsPodReady(&pods[i]) {
			ready = append(ready, pods[i].Name)
		}
		if labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pods[i].Labels)) {
			selected = append(selected, pods[i].Name)
		}
	}
	e.Expect("EPH-01", "the deployment has one pod that is Ready", workload.Name(d), ready, gomega.HaveLen(1))
	e.Expect("EPH-01", "the Service selects the pod that is Ready", framework.Name("Service", service), selected, gomega.Equal(ready))
}

func expectInlineVolume(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) {
	name := framework.Name("pod", p)
	v, err := d.Volume()
	if e.Expect("EPH-02", "the manifest has a volume for the memory file", name, err, framework.Succeed) {
		e.Expect("EPH-02", "the pod requests its volume inline, by the name of the driver", name, v.Source, gomega.Equal(deploy.Inline))
	}
	claims, err := d.Claims(ctx)
	e.NoError(err, "list the claims in %s", d.Namespace)
	var names []string
	for _, c := range claims {
		if strings.HasSuffix(c.Name, "-"+v.Name) || c.Name == v.Claim {
			names = append(names, c.Name)
		}
	}
	e.Expect("EPH-02", "there is no claim for the memory file", "namespace "+d.Namespace, names, gomega.BeEmpty())
}

// expectReached expects an unprivileged memcached that clients reach through its
// Service, from outside of the cluster and from another pod.
func expectReached(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) {
	expectUnprivileged(ctx, e, p)
	expectEndpoint(ctx, e, d, p)
	expectDemo(ctx, e, d)
	expectServiceInCluster(ctx, e, d)
}

func expectUnprivileged(ctx context.Context, e *framework.Env, p *corev1.Pod) {
	name := framework.Name("pod", p)
	e.Expect("EPH-09", "memcached does not run as root (user id)", name, cache.Process(ctx, e, p).UID, gomega.Not(gomega.BeZero()))
	var privileged []string
	for _, c := range p.Spec.Containers {
		if c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged {
			privileged = append(privileged, c.Name)
		}
	}
	e.Expect("EPH-09", "no container is privileged", name, privileged, gomega.BeEmpty())
}

// expectEndpoint expects the Service to have the one Ready pod as its endpoint, by one address or by one of each family.
func expectEndpoint(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) {
	service := "Service " + d.Namespace + "/" + d.Service
	var addresses []string
	err := e.Waiter.Until(ctx, wait.EndpointReady, service+" to have the pod's address "+p.Status.PodIP, func(ctx context.Context) (bool, string, error) {
		list, err := e.Cluster.Client.DiscoveryV1().EndpointSlices(d.Namespace).List(ctx,
			metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + d.Service})
		if err != nil {
			return false, "", err
		}
		addresses = nil
		for _, s := range list.Items {
			for _, ep := range s.Endpoints {
				if ep.Conditions.Ready == nil || *ep.Conditions.Ready {
					addresses = append(addresses, ep.Addresses...)
				}
			}
		}
		return workload.OnlyOf(p, addresses), fmt.Sprintf("ready addresses %v", addresses), nil
	})
	e.Expect("OBJ-01", "the pod's address is the only ready address of the Service", service, err, framework.Succeed)
	s, err := e.Cluster.Client.CoreV1().Services(d.Namespace).Get(ctx, d.Service, metav1.GetOptions{})
	e.NoError(err, "read %s", service)
	e.Expect("OBJ-01", "the Service leads to no pod that is not Ready", service, fmt.Sprintf("publishNotReadyAddresses: %t", s.Spec.PublishNotReadyAddresses),
		gomega.Equal("publishNotReadyAddresses: false"))
}

// expectDemo follows the published walk-through, byte for byte.
func expectDemo(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	e.Step("store and read the demo key through a port-forward to the Service")
	service := "Service " + d.Namespace + "/" + d.Service
	c, err := e.ConnectService(ctx, d)
	if !e.Expect("EPH-12", "memcached answers through a port-forward to the Service", service, err, framework.Succeed) {
		return
	}
	s, err := c.Session(ctx)
	e.NoError(err, "open a second connection to %s", c.Addr)
	defer s.Close()
	lines, err := s.Do(ctx, "set demo_key 0 500000 10\r\nI am PMEM.", memcached.Line("STORED"))
	e.NoError(err, "send set")
	e.Expect("EPH-12", "set of 10 bytes is answered by STORED", service, lines, gomega.Equal([]string{"STORED"}))
	lines, err = s.Do(ctx, "get demo_key", memcached.Line("END"))
	e.NoError(err, "send get")
	e.Expect("EPH-12", "get returns flags, length and bytes as stored", service, lines,
		gomega.Equal([]string{"VALUE demo_key 0 10", "I am PMEM.", "END"}))
	lines, err = s.Do(ctx, "quit", nil)
	const closed = "the end of the connection"
	how := fmt.Sprintf("answer %q, then %v", lines, err)
	if errors.Is(err, io.EOF) && len(lines) == 0 {
		how = closed
	}
	e.Expect("MC-05", "quit ends the connection without an answer", service, how, gomega.Equal(closed))
}

// How long a client tries to connect, as it may take a moment until every node
// knows a new Service, and how long it waits for the end of the connection.
const (
	connectLimit = 20 * time.Second
	answerLimit  = 10 * time.Second
)

// expectServiceInCluster expects that another pod reaches memcached by the name
// of its Service.
func expectServiceInCluster(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	e.Step("reach the Service from another pod")
	addr := net.JoinHostPort(d.Service+"."+d.Namespace+".svc", strconv.Itoa(d.ServicePort))
	clients, end := traffic.Clients(ctx, e, d, 1)
	r, err := clients.Talk(ctx, e.Cluster, addr, "set in-cluster 5 60 5\r\nhello\r\nget in-cluster\r\nquit\r\n", connectLimit, answerLimit)
	e.NoError(err, "run a client in %s", framework.Name("pod", clients.Pod()))
	how := cache.Ended(r)
	if how != cache.Success {
		how = traffic.Unreached(ctx, e, d, clients.Pod(), how)
	}
	end()
	service := fmt.Sprintf("Service %s, seen from %s", addr, framework.Name("pod", clients.Pod()))
	e.Expect("OBJ-01", "a pod reaches memcached by the Service's name", service, how, gomega.Equal(cache.Success))
	e.Expect("OBJ-01", "a pod sets and gets a key through the Service", service, strings.Join(strings.Fields(r.Stdout), " "),
		gomega.Equal("STORED VALUE in-cluster 5 5 hello END"))
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

const defaultMountPath = "/data"

// volumeOnNode finds the device behind the volume of a pod that runs.
func volumeOnNode(ctx context.Context, e *framework.Env, req spec.ReqID, d *deploy.Deployment, p *corev1.Pod) (*pmem.NodeDriver, placement.Device, probe.Mount) {
	path := defaultMountPath
	if v, err := d.Volume(); err == nil {
		path = v.MountPath
	}
	mount, err := probe.MountOf(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path)
	e.NoError(err, "find the mount of %s", path)
	nd, err := pmem.AwaitNodeDriver(ctx, e.Cluster, e.Waiter, p.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", p.Spec.NodeName)
	dev, found, err := placement.Backing(ctx, nd, mount)
	e.NoError(err, "look at the persistent memory of node %s", nd.Node)
	e.Expect(req, "while the pod runs its volume is on its node", framework.Name("pod", p)+" on node "+nd.Node, placement.Backed(mount, found), gomega.Equal(mount.Device))
	return nd, dev, mount
}

func expectSize(e *framework.Env, c cache.Cache) {
	usable := c.FS.Usable()
	e.Note("memory file", "%d MiB, %.1f %% of the %d MiB that a user can use of %s", c.File.Size/cache.MiB,
		100*float64(c.File.Size)/float64(usable), usable/cache.MiB, c.Mount.Device)
	e.Expect("EPH-04", "the memory file has at least 85 % of the bytes that a user can use", c.Name, c.File.Size,
		gomega.BeNumerically(">=", usable*85/100))
	e.Expect("EPH-04", "the user has free space next to the memory file (bytes)", c.Name, c.FS.Available, gomega.BeNumerically(">=", c.FS.BlockSize))
	e.Expect("EPH-05", "the memory file has a whole number of MiB (bytes over)", c.Name, c.File.Size%cache.MiB, gomega.BeZero())
}

func expectMemoryFileInUse(ctx context.Context, e *framework.Env, c cache.Cache, client *framework.Connection) {
	general, settings := cache.Stats(ctx, e, client, ""), cache.Stats(ctx, e, client, "settings")
	size := fmt.Sprint(c.File.Size)
	e.Expect("EPH-07", "memcached's limit is the size of the memory file (limit_maxbytes)", c.Name, general["limit_maxbytes"], gomega.Equal(size))
	e.Expect("EPH-07", "memcached's limit is the size of the memory file (maxbytes)", c.Name, settings["maxbytes"], gomega.Equal(size))
	if path, ok := settings["memory_file"]; ok { // since 1.6.9
		e.Expect("EPH-08", "memcached names the memory file in its settings", c.Name, path, gomega.Equal(c.File.Path))
	}
}

// expectMapped ends the spec where the kernel shows the mappings of a process to nobody in its container, as it
// does when the process began as another user. That says nothing about the deployment.
func expectMapped(ctx context.Context, e *framework.Env, c cache.Cache) {
	mapping, err := cache.Mapping(ctx, e, c)
	e.NoError(err, "read the mappings of memcached")
	e.Expect("EPH-08", "the process has mapped the memory file shared and writable", c.Name, mapping, gomega.Equal(cache.Mapped))
}

// expectLimitRefused comes after all that examines the limit, because memcached without a memory file changes it.
func expectLimitRefused(ctx context.Context, e *framework.Env, c cache.Cache, client *framework.Connection) {
	s, err := client.Session(ctx)
	e.NoError(err, "open a second connection to %s", client.Addr)
	defer s.Close()
	lines, err := s.Do(ctx, "cache_memlimit 100", func(string) bool { return true })
	e.NoError(err, "send cache_memlimit")
	e.Expect("MC-01", "a change of the memory limit is refused, which only memcached with a memory file does", c.Name,
		strings.Join(lines, " "), gomega.HavePrefix("MEMLIMIT_ADJUST_FAILED"))
}
