// Package pmem reads what PMEM-CSI holds on a node, and what the node says about its persistent
// memory, through the pod of the driver there.
package pmem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/wait"
)

// Labels and names of PMEM-CSI's deployment, deploy/kubernetes-1.25/pmem-csi-lvm.yaml of v1.1.0.
const (
	NodeDriverSelector  = nameLabel + "=" + nodeDriver
	NodeDriverContainer = "pmem-driver"

	nameLabel  = "app.kubernetes.io/name"
	nodeDriver = "pmem-csi-node"

	defaultName = "pmem-csi.intel.com"
	metricsPort = "metrics"
)

// Direct is the mode of PMEM-CSI in which each volume is a namespace. In the other one, lvm, volumes
// are logical volumes.
const Direct = "direct"

// A NodeDriver is the pod of PMEM-CSI on one node, a way to the node's persistent memory.
type NodeDriver struct {
	Node           string
	Namespace, Pod string
	Name           string // of the CSI driver
	Mode           string // its flag -deviceManager, lvm or Direct; empty if it is not given
	StateDir       string // where it remembers its volumes: a file VOLUME.json each
	MetricsPort    int    // of the pod; 0 if the container names no such port
	Container      string // of the pod, with the driver's program
	Object         *corev1.Pod

	exec   probe.Execer
	client kubernetes.Interface
}

// AwaitNodeDrivers waits until the driver is Ready on every node that has it. Without a driver, or without the
// right to look for it, there is nothing to wait for, and the error says so at once.
func AwaitNodeDrivers(ctx context.Context, c *cluster.Cluster, w wait.Waiter) error {
	return w.Until(ctx, wait.DriverReady, "PMEM-CSI to be Ready on its nodes", func(ctx context.Context) (bool, string, error) {
		drivers, unready, err := FindNodeDrivers(ctx, c)
		if err != nil {
			return false, "", wait.Stop(err)
		}
		seen := []string{fmt.Sprintf("Ready on %d of %d", len(drivers), len(drivers)+len(unready))}
		for _, node := range slices.Sorted(maps.Keys(unready)) {
			seen = append(seen, unready[node].Error())
		}
		return len(unready) == 0, strings.Join(seen, "; "), nil
	})
}

// AwaitNodeDriver is FindNodeDriver that waits while the driver's pod is being replaced.
func AwaitNodeDriver(ctx context.Context, c *cluster.Cluster, w wait.Waiter, node string) (*NodeDriver, error) {
	var driver *NodeDriver
	err := w.Until(ctx, wait.DriverReady, "PMEM-CSI to be Ready on node "+node, func(ctx context.Context) (bool, string, error) {
		pods, err := driverPods(ctx, c, "spec.nodeName="+node)
		if err != nil {
			return false, "", err
		}
		pod, unready := choose(pods, node)
		if unready != nil {
			return false, unready.Error(), nil
		}
		driver = newNodeDriver(c, node, pod)
		return true, "pod " + pod.Name, nil
	})
	return driver, err
}

func newNodeDriver(c *cluster.Cluster, node string, pod *corev1.Pod) *NodeDriver {
	d := &NodeDriver{
		Node: node, Namespace: pod.Namespace, Pod: pod.Name, Object: pod, Name: nameOf(pod.Spec),
		Container: NodeDriverContainer, exec: c, client: c.Client,
	}
	if container, ok := driverContainer(pod.Spec); ok {
		d.Container = container.Name
		d.Mode = flagValue(container, "deviceManager")
		d.StateDir = flagValue(container, "statePath")
		for _, port := range container.Ports {
			if port.Name == metricsPort {
				d.MetricsPort = int(port.ContainerPort)
			}
		}
	}
	if d.StateDir == "" {
		d.StateDir = "/var/lib/" + d.Name
	}
	return d
}

// Image is that of the container with the driver's program.
func (d *NodeDriver) Image() string {
	i := slices.IndexFunc(d.Object.Spec.Containers, func(c corev1.Container) bool { return c.Name == d.Container })
	if i < 0 {
		return ""
	}
	return d.Object.Spec.Containers[i].Image
}

// flagValue returns what the container's program gets as -name=value, with the references to the
// container's variables replaced as Kubernetes does.
func flagValue(container corev1.Container, name string) string {
	var pairs []string
	for _, env := range container.Env {
		pairs = append(pairs, "$("+env.Name+")", env.Value)
	}
	for _, arg := range slices.Concat(container.Command, container.Args) {
		value, ok := strings.CutPrefix(strings.TrimLeft(arg, "-"), name+"=")
		if ok && strings.HasPrefix(arg, "-") {
			return strings.NewReplacer(pairs...).Replace(value)
		}
	}
	return ""
}

// Metrics in bytes, pkg/pmem-device-manager/metrics.go of v1.1.0.
const (
	availableMetric = "pmem_amount_available"
	managedMetric   = "pmem_amount_managed"
)

// ErrNoMetrics reports that the driver's pod offers no metrics.
var ErrNoMetrics = errors.New("the driver's container has no port named " + metricsPort)

// Available returns the bytes that the driver says new volumes can have on the node, from its
// metric pmem_amount_available.
func (d *NodeDriver) Available(ctx context.Context) (int64, error) {
	values, err := d.metrics(ctx, availableMetric)
	if err != nil {
		return 0, err
	}
	return values[0], nil
}

// Amounts returns the bytes of persistent memory that the driver manages on the node, its metric
// pmem_amount_managed, and how many of them new volumes can have.
func (d *NodeDriver) Amounts(ctx context.Context) (managed, available int64, err error) {
	values, err := d.metrics(ctx, managedMetric, availableMetric)
	if err != nil {
		return 0, 0, err
	}
	return values[0], values[1], nil
}

// metrics returns the values of gauges of the driver, in their order.
func (d *NodeDriver) metrics(ctx context.Context, names ...string) ([]int64, error) {
	fail := func(err error) ([]int64, error) {
		return nil, fmt.Errorf("node %s: metric %s of pod %s/%s: %w", d.Node, strings.Join(names, ", "), d.Namespace, d.Pod, err)
	}
	if d.MetricsPort == 0 {
		return fail(ErrNoMetrics)
	}
	text, err := d.client.CoreV1().Pods(d.Namespace).
		ProxyGet("http", d.Pod, strconv.Itoa(d.MetricsPort), "metrics", nil).DoRaw(ctx)
	if err != nil {
		return fail(err)
	}
	values, err := gauges(text, names...)
	if err != nil {
		return fail(err)
	}
	return values, nil
}

// gauges returns the values of metrics that have one sample each, from the Prometheus text format.
func gauges(text []byte, names ...string) ([]int64, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var values []int64
	for _, name := range names {
		samples := families[name].GetMetric()
		if len(samples) != 1 || samples[0].Gauge == nil {
			return nil, fmt.Errorf("%d samples of %s (type %s), want 1 of a gauge", len(samples), name, families[name].GetType())
		}
		values = append(values, int64(samples[0].Gauge.GetValue()))
	}
	return values, nil
}
