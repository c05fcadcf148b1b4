package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "DRV-01", Title: "the driver declares what this workload needs and runs on the nodes that are chosen for it",
	Covers: []spec.ReqID{"DRV-01", "DRV-02", "DRV-03", "DRV-17"},
	Level:  spec.Must, Profile: spec.Driver, Needs: []spec.Feature{spec.NodeAccess},
	Tags: []string{"driver"}, Budget: 3 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	name := storage.DriverName(ctx, e)
	expectDeclared(ctx, e, name)
	nodes, err := e.Cluster.Nodes(ctx)
	e.NoError(err, "list the nodes")
	set := driverSet(ctx, e, name)
	label, chosen, err := storage.ChosenNodes(set.Spec.Template.Spec, nodes)
	e.NoError(err, "find the nodes that are chosen for the driver")
	e.Note("driver", "nodes with the label of its installation, %s: %s", label, strings.Join(chosen, ", "))
	e.Expect("DRV-03", "the DaemonSet of the driver selects nodes by a label that not every node has", framework.Name("DaemonSet", &set), storage.Selection(set.Spec.Template.Spec), gomega.Not(gomega.Equal(storage.EveryNode)))
	pods := driverPods(ctx, e, set)
	for _, node := range nodes {
		object, wanted := framework.Name("node", &node), slices.Contains(chosen, node.Name)
		p, runs := pods[node.Name]
		ready := runs && podutils.IsPodReady(&p)
		e.Expect("DRV-03", "the driver runs on the nodes with the label of its installation and on no other", object, onNode(ready, "a Ready pod"), gomega.Equal(onNode(wanted, "a Ready pod")))
		e.Expect("DRV-02", "CSINode lists the driver on the nodes with the label of its installation and on no other", object, onNode(csiNodeLists(ctx, e, node.Name, name), "listed"), gomega.Equal(onNode(wanted, "listed")))
	}
	expectConverted(ctx, e, name, nodes)
})

// onNode is what, or "not" what.
func onNode(yes bool, what string) string {
	if yes {
		return what
	}
	return "not " + what
}

func expectDeclared(ctx context.Context, e *framework.Env, name string) {
	driver, err := e.Cluster.Client.StorageV1().CSIDrivers().Get(ctx, name, metav1.GetOptions{})
	e.Require("DRV-01", "there is a CSIDriver object", "CSIDriver "+name, err, framework.Succeed)
	object := "CSIDriver " + name
	for _, field := range []struct {
		declared string
		value    *bool
		want     bool
	}{
		{"no step of attaching (attachRequired)", driver.Spec.AttachRequired, false},
		{"information about the pod on mount (podInfoOnMount)", driver.Spec.PodInfoOnMount, true},
		{"capacity that the scheduler knows (storageCapacity)", driver.Spec.StorageCapacity, true},
	} {
		got := "unset"
		if field.value != nil {
			got = fmt.Sprint(*field.value)
		}
		e.Expect("DRV-01", "the driver declares "+field.declared, object, got, gomega.Equal(fmt.Sprint(field.want)))
	}
	e.Expect("DRV-01", "the driver declares persistent and ephemeral volumes", object, driver.Spec.VolumeLifecycleModes,
		gomega.ConsistOf(storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral))
}

// driverSet is the DaemonSet that runs the driver.
func driverSet(ctx context.Context, e *framework.Env, name string) appsv1.DaemonSet {
	sets, err := pmem.FindDriverSets(ctx, e.Cluster, name)
	e.NoError(err, "list the DaemonSets of the driver")
	e.Require("DRV-03", "one DaemonSet runs the driver", "DaemonSets of "+name, len(sets), gomega.Equal(1))
	return sets[0]
}

// driverPods are the pods of the driver by their nodes.
func driverPods(ctx context.Context, e *framework.Env, set appsv1.DaemonSet) map[string]corev1.Pod {
	list, err := e.Cluster.Client.CoreV1().Pods(set.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector)})
	e.NoError(err, "list the pods of the driver")
	pods := map[string]corev1.Pod{}
	for _, p := range list.Items {
		pods[p.Spec.NodeName] = p
	}
	return pods
}

func csiNodeLists(ctx context.Context, e *framework.Env, node, driver string) bool {
	object, err := e.Cluster.Client.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{})
	e.NoError(err, "get CSINode %s", node)
	return slices.ContainsFunc(object.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == driver })
}

// groupName is PMEM-CSI's name for the volume group of a region,
// pkg/pmem-common/vgname.go of v1.1.0.
var groupName = regexp.MustCompile(`^ndbus[0-9]+region[0-9]+fsdax$`)

// expectConverted expects that no conversion of raw persistent memory is in
// progress and that each node has volume groups, or without LVM a region whose
// namespaces the driver has made.
func expectConverted(ctx context.Context, e *framework.Env, name string, nodes []corev1.Node) {
	for _, node := range nodes {
		e.Expect("DRV-17", "no conversion is requested (labels)", framework.Name("node", &node),
			node.Labels, gomega.Not(gomega.HaveKey(name+"/convert-raw-namespaces")))
	}
	drivers, _, err := pmem.FindNodeDrivers(ctx, e.Cluster)
	e.NoError(err, "find the nodes with the driver")
	for _, nd := range drivers {
		object, modes := "node "+nd.Node, []string{"fsdax"}
		regions, err := nd.Regions(ctx)
		e.NoError(err, "list the regions of node %s", nd.Node)
		e.Expect("DRV-03", "a node on which the driver runs has persistent memory (bytes)", object, sizeOf(regions), gomega.BeNumerically(">", 0))
		if nd.Mode == pmem.Direct {
			// Those for file I/O have a block translation table.
			modes = append(modes, "sector")
			expectRegion(e, regions, object)
		} else {
			expectVolumeGroup(ctx, e, nd, object)
		}
		for _, r := range regions {
			for _, n := range r.Namespaces {
				if n.Size > 0 {
					e.Expect("DRV-17", "no namespace is raw (mode)", object+", namespace "+n.Dev, n.Mode, gomega.BeElementOf(modes))
				}
			}
		}
	}
}

func expectRegion(e *framework.Env, regions []pmem.Region, object string) {
	e.Expect("DRV-17", "the node has a region of persistent memory (bytes)", object, sizeOf(regions), gomega.BeNumerically(">", 0))
}

// sizeOf is how much persistent memory regions have.
func sizeOf(regions []pmem.Region) int64 {
	var size int64
	for _, r := range regions {
		if r.Type == "pmem" {
			size += r.Size
		}
	}
	return size
}

func expectVolumeGroup(ctx context.Context, e *framework.Env, nd *pmem.NodeDriver, object string) {
	groups, err := nd.VolumeGroups(ctx)
	e.NoError(err, "list the volume groups of node %s", nd.Node)
	var names []string
	var size int64
	for _, g := range groups {
		names = append(names, g.Name)
		if groupName.MatchString(g.Name) {
			size += g.Size
		}
	}
	e.Expect("DRV-17", "the node has a volume group of the driver (bytes)", object+", volume groups "+strings.Join(names, ", "), size, gomega.BeNumerically(">", 0))
}
