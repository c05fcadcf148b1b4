// Package readiness waits until the nodes of a lab, their persistent memory and
// the cluster's own programs are ready.
package readiness

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/wait"
)

// panicLimit is how often a kernel may panic until it is clear that it will
// not come up.
const panicLimit = 3

// Checker asks the API server of a lab.
type Checker struct {
	Client   kubernetes.Interface
	Waiter   wait.Waiter
	Progress io.Writer
}

// AwaitNode waits until a node is Ready that has been started since before was
// seen of it.
func (c Checker) AwaitNode(ctx context.Context, m vm.Machine, before state.Node) error {
	defer c.reportPanics(m)
	panics, hangs := m.Mishaps()
	return c.Waiter.Until(ctx, wait.LabNode, "node "+m.Name()+" to be Ready", func(ctx context.Context) (bool, string, error) {
		if err := m.Alive(); err != nil {
			return false, "", err
		}
		nowPanics, nowHangs := m.Mishaps()
		if times := nowPanics - panics; times >= panicLimit {
			return false, "", wait.Stop(fmt.Errorf("its kernel panicked %d times in a row", times))
		}
		if nowHangs > hangs {
			hangs = nowHangs
			fmt.Fprintf(c.Progress, "lab %s: a processor gets no timer interrupts, so it is reset; see logs/%s/console.log\n", m.Name(), m.Name())
			if err := m.Do(ctx, "system_reset"); err != nil {
				return false, "", err
			}
			return false, "the node was reset", nil
		}
		object, err := c.Client.CoreV1().Nodes().Get(ctx, m.Name(), metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		if object.Status.NodeInfo.BootID == before.Boot {
			return false, "nothing of the node since it started", nil
		}
		ready, seen := nodeReady(object)
		return ready, seen, nil
	})
}

// reportPanics reports how often the node's kernel had to start again.
func (c Checker) reportPanics(m vm.Machine) {
	if times, _ := m.Mishaps(); times > 0 {
		fmt.Fprintf(c.Progress, "lab %s: its kernel has panicked and started again, %d times by now; see logs/%s/console.log\n", m.Name(), times, m.Name())
	}
}

func nodeReady(object *corev1.Node) (ready bool, seen string) {
	for _, c := range object.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue, fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	return false, "no Ready condition"
}

// AwaitDriver waits until the driver is registered on a node that has been
// started since before was seen of it, and its persistent memory can be asked
// for.
func (c Checker) AwaitDriver(ctx context.Context, m vm.Machine, before state.Node) error {
	return c.Waiter.Until(ctx, wait.LabDriver, "PMEM-CSI to offer the persistent memory of "+m.Name(), func(ctx context.Context) (bool, string, error) {
		if err := m.Alive(); err != nil {
			return false, "", err
		}
		return driverState(ctx, c.Client, m.Name(), before)
	})
}

// AwaitDriverOn is AwaitDriver for a node that is no machine of a lab.
func (c Checker) AwaitDriverOn(ctx context.Context, node string) error {
	return c.Waiter.Until(ctx, wait.LabDriver, "PMEM-CSI to offer the persistent memory of "+node, func(ctx context.Context) (bool, string, error) {
		return driverState(ctx, c.Client, node, state.Node{})
	})
}

// AwaitDNS waits until cluster DNS answers.
func (c Checker) AwaitDNS(ctx context.Context) error {
	return c.Waiter.Until(ctx, wait.LabDNS, "cluster DNS", func(ctx context.Context) (bool, string, error) {
		dns, err := c.Client.AppsV1().Deployments("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return dns.Status.ReadyReplicas > 0, fmt.Sprintf("%d ready pods", dns.Status.ReadyReplicas), nil
	})
}

// Seen returns what the API server knows of a node that is about to start.
func (c Checker) Seen(ctx context.Context, n topology.Node) (state.Node, error) {
	var r state.Node
	object, err := c.Client.CoreV1().Nodes().Get(ctx, n.Name(), metav1.GetOptions{})
	if err != nil {
		return r, err
	}
	r.Boot = object.Status.NodeInfo.BootID
	pods, err := systemPods(ctx, c.Client, n.Name())
	for _, p := range pods {
		for _, container := range p.Status.ContainerStatuses {
			r.Containers = append(r.Containers, container.ContainerID)
		}
	}
	return r, err
}

// systemPods returns the cluster's own pods that are on a node to stay, and those
// that wait for a node. Pods that the kubelet ended before the node shut down are
// not started again, others are made in their place.
func systemPods(ctx context.Context, client kubernetes.Interface, node string) ([]corev1.Pod, error) {
	var found []corev1.Pod
	for _, namespace := range []string{metav1.NamespaceSystem, pmemcsi.Namespace} {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, p := range pods.Items {
			here := p.Spec.NodeName == node || p.Spec.NodeName == ""
			finished := p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
			if here && !finished && p.DeletionTimestamp == nil {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func isDriver(p corev1.Pod) bool { return p.Labels[pmemcsi.PodLabel] == pmemcsi.NodePod }

// old reports whether the pod has a container of before the node started.
func old(p corev1.Pod, before state.Node) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return slices.Contains(before.Containers, c.ContainerID)
	})
}

// driverState reports whether the driver offers persistent memory on a node, and
// the other pods of the cluster there are Ready.
func driverState(ctx context.Context, client kubernetes.Interface, name string, before state.Node) (bool, string, error) {
	node, err := client.StorageV1().CSINodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, "", err
	}
	pods, err := systemPods(ctx, client, name)
	if err != nil {
		return false, "", err
	}
	var unready []string
	for _, p := range pods {
		if old(p, before) {
			unready = append(unready, p.Name+" has not started again")
		} else if !podutils.IsPodReady(&p) {
			unready = append(unready, podState(p))
		}
	}
	switch {
	case !registered(node):
		return false, "driver not registered; " + strings.Join(unready, ", "), nil
	case len(unready) > 0:
		return false, "driver registered; not Ready: " + strings.Join(unready, ", "), nil
	case !slices.ContainsFunc(pods, isDriver):
		return false, "driver registered, and no pod of it", nil
	}
	capacities, err := client.StorageV1().CSIStorageCapacities(pmemcsi.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, "", err
	}
	for _, c := range capacities.Items {
		if c.Capacity != nil && !c.Capacity.IsZero() && reaches(c.NodeTopology, name) {
			return true, "", nil
		}
	}
	return false, fmt.Sprintf("driver registered, %d capacity objects, none above 0 for %s", len(capacities.Items), name), nil
}

// reaches reports whether storage of that topology is the node's.
func reaches(topology *metav1.LabelSelector, node string) bool {
	selector, err := metav1.LabelSelectorAsSelector(topology)
	return err == nil && selector.Matches(labels.Set{pmemcsi.NodeLabel: node})
}

func registered(node *storagev1.CSINode) bool {
	for _, d := range node.Spec.Drivers {
		if d.Name == pmemcsi.Name {
			return true
		}
	}
	return false
}

func podState(p corev1.Pod) string {
	state := p.Name + " " + string(p.Status.Phase)
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			state += fmt.Sprintf(" (%s: %s %s)", c.Name, c.State.Waiting.Reason, c.State.Waiting.Message)
		}
	}
	return state
}
