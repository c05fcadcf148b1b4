package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// awaitNodes waits until all nodes have joined.
func (l *Lab) awaitNodes(ctx context.Context) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	return topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		return l.console(n, l.awaitNode(ctx, client, n))
	})
}

// panicMark is what a kernel says that starts again, and panicLimit how often
// it may until it is clear that it will not come up.
const (
	panicMark  = "] Kernel panic - "
	panicLimit = 3
)

// hangMark is what a kernel says, every minute at least, when one of its
// processors gets no timer interrupts any more. It was seen to happen to an
// emulated one that had just begun to boot, and does not end by itself.
const hangMark = "rcu_preempt kthread timer wakeup didn't happen"

// mishaps counts the panics and the hangs of the node's kernel since the lab
// came up.
func (l *Lab) mishaps(n topology.Node) (panics, hangs int) {
	said, err := os.ReadFile(l.dir.Log(n.Name() + "/console"))
	if err != nil {
		return 0, 0
	}
	return bytes.Count(said, []byte(panicMark)), bytes.Count(said, []byte(hangMark))
}

func (l *Lab) awaitNode(ctx context.Context, client kubernetes.Interface, n topology.Node) error {
	defer l.reportPanics(n)
	before, err := l.readRecord(n)
	if err != nil {
		return err
	}
	panics, hangs := l.mishaps(n)
	return l.wait.Until(ctx, wait.LabNode, "node "+n.Name()+" to be Ready", func(ctx context.Context) (bool, string, error) {
		if err := l.alive(n); err != nil {
			return false, "", err
		}
		nowPanics, nowHangs := l.mishaps(n)
		if times := nowPanics - panics; times >= panicLimit {
			return false, "", wait.Stop(fmt.Errorf("its kernel panicked %d times in a row", times))
		}
		if nowHangs > hangs {
			hangs = nowHangs
			fmt.Fprintf(l.progress, "lab %s: a processor gets no timer interrupts, so it is reset; see logs/%s/console.log\n", n.Name(), n.Name())
			if err := l.ask(ctx, n, qmp.Command{Execute: "system_reset"}, nil); err != nil {
				return false, "", err
			}
			return false, "the node was reset", nil
		}
		object, err := client.CoreV1().Nodes().Get(ctx, n.Name(), metav1.GetOptions{})
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
func (l *Lab) reportPanics(n topology.Node) {
	if times, _ := l.mishaps(n); times > 0 {
		fmt.Fprintf(l.progress, "lab %s: its kernel has panicked and started again, %d times by now; see logs/%s/console.log\n", n.Name(), times, n.Name())
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

// awaitDriver waits until the driver is registered on the nodes and their
// persistent memory can be asked for, and cluster DNS answers.
func (l *Lab) awaitDriver(ctx context.Context) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	if err := topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		return l.console(n, l.awaitPMEM(ctx, client, n))
	}); err != nil {
		return err
	}
	return l.wait.Until(ctx, wait.LabDNS, "cluster DNS", func(ctx context.Context) (bool, string, error) {
		dns, err := client.AppsV1().Deployments("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return dns.Status.ReadyReplicas > 0, fmt.Sprintf("%d ready pods", dns.Status.ReadyReplicas), nil
	})
}

func (l *Lab) awaitPMEM(ctx context.Context, client kubernetes.Interface, n topology.Node) error {
	before, err := l.readRecord(n)
	if err != nil {
		return err
	}
	return l.wait.Until(ctx, wait.LabDriver, "PMEM-CSI to offer the persistent memory of "+n.Name(), func(ctx context.Context) (bool, string, error) {
		if err := l.alive(n); err != nil {
			return false, "", err
		}
		return driverState(ctx, client, n, before)
	})
}

// systemPods returns the cluster's own pods that are on a node to stay.
func systemPods(ctx context.Context, client kubernetes.Interface, n topology.Node) ([]corev1.Pod, error) {
	var found []corev1.Pod
	for _, namespace := range []string{metav1.NamespaceSystem, driverNamespace} {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.Name()})
		if err != nil {
			return nil, err
		}
		for _, p := range pods.Items {
			if p.DeletionTimestamp == nil {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// old reports whether the pod has a container of before the node started.
func (r nodeRecord) old(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return slices.Contains(r.Containers, c.ContainerID)
	})
}

// driverState reports whether the driver offers persistent memory on a node, and
// the other pods of the cluster there are Ready.
func driverState(ctx context.Context, client kubernetes.Interface, n topology.Node, before nodeRecord) (bool, string, error) {
	node, err := client.StorageV1().CSINodes().Get(ctx, n.Name(), metav1.GetOptions{})
	if err != nil {
		return false, "", err
	}
	pods, err := systemPods(ctx, client, n)
	if err != nil {
		return false, "", err
	}
	var unready []string
	for _, p := range pods {
		if before.old(p) {
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
	}
	capacities, err := client.StorageV1().CSIStorageCapacities(driverNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, "", err
	}
	for _, c := range capacities.Items {
		if c.Capacity != nil && !c.Capacity.IsZero() && reaches(c.NodeTopology, n) {
			return true, "", nil
		}
	}
	return false, fmt.Sprintf("driver registered, %d capacity objects, none above 0 for %s", len(capacities.Items), n.Name()), nil
}

// reaches reports whether storage of that topology is the node's.
func reaches(topology *metav1.LabelSelector, n topology.Node) bool {
	selector, err := metav1.LabelSelectorAsSelector(topology)
	return err == nil && selector.Matches(labels.Set{driverName + "/node": n.Name()})
}

func registered(node *storagev1.CSINode) bool {
	for _, d := range node.Spec.Drivers {
		if d.Name == driverName {
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
