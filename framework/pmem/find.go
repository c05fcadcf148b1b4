package pmem

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework/cluster"
)

// FindNodeDriver returns the driver on a node, of those that the cluster names as examined.
func FindNodeDriver(ctx context.Context, c *cluster.Cluster, node string) (*NodeDriver, error) {
	pods, err := driverPods(ctx, c, "spec.nodeName="+node)
	if err != nil {
		return nil, fmt.Errorf("looking for the PMEM-CSI pod on node %s: %w", node, err)
	}
	pod, err := choose(pods, node)
	if err != nil {
		return nil, err
	}
	return newNodeDriver(c, node, pod), nil
}

// FindNodeDrivers returns the drivers on all nodes that have one, of those that the cluster names as examined, ordered
// by node, and for each node with a driver that is not Ready the reason why it is missing in the result.
func FindNodeDrivers(ctx context.Context, c *cluster.Cluster) (drivers []*NodeDriver, unready map[string]error, err error) {
	pods, err := driverPods(ctx, c, "")
	if err != nil {
		return nil, nil, fmt.Errorf("looking for the pods of PMEM-CSI: %w", err)
	}
	if len(pods) == 0 {
		return nil, nil, &NoneError{none(c)}
	}
	type place struct{ node, driver string }
	at := map[place][]corev1.Pod{}
	for _, pod := range pods {
		if pod.Spec.NodeName != "" {
			p := place{pod.Spec.NodeName, nameOf(pod.Spec)}
			at[p] = append(at[p], pod)
		}
	}
	unready = map[string]error{}
	for p, there := range at {
		pod, err := choose(there, p.node)
		if err != nil {
			unready[p.node] = err
			continue
		}
		drivers = append(drivers, newNodeDriver(c, p.node, pod))
	}
	slices.SortFunc(drivers, func(a, b *NodeDriver) int { return strings.Compare(a.Node+" "+a.Name, b.Node+" "+b.Name) })
	return drivers, unready, nil
}

// FindDriverSets returns the DaemonSets that run a driver on nodes, by their labels or by the name that they give to the
// driver.
func FindDriverSets(ctx context.Context, c *cluster.Cluster, driver string) ([]appsv1.DaemonSet, error) {
	all, err := cluster.Items(ctx, metav1.ListOptions{}, c.Client.AppsV1().DaemonSets(metav1.NamespaceAll).List,
		func(l *appsv1.DaemonSetList) []appsv1.DaemonSet { return l.Items })
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s appsv1.DaemonSet) bool {
		labelled := s.Labels[nameLabel] == nodeDriver || s.Spec.Template.Labels[nameLabel] == nodeDriver
		_, named := ownName(s.Spec.Template.Spec)
		return !labelled && !named || nameOf(s.Spec.Template.Spec) != driver
	}), nil
}

// NoneError reports that there is no driver at all.
type NoneError struct {
	Why string // what was looked for
}

func (e *NoneError) Error() string { return e.Why + "; install PMEM-CSI" }

// none reports that there is no pod of the drivers that are examined.
func none(c *cluster.Cluster) string {
	if len(c.Drivers) == 0 {
		return "no pod is labelled " + NodeDriverSelector
	}
	return fmt.Sprintf("no pod labelled %s, and none of a DaemonSet, runs the driver %s", NodeDriverSelector, strings.Join(c.Drivers, " or "))
}

// driverPods lists the pods of the drivers that are examined: those with the labels of PMEM-CSI's own deployment, and for a
// driver that has none such, those of a DaemonSet that gives a driver its name.
func driverPods(ctx context.Context, c *cluster.Cluster, fields string) ([]corev1.Pod, error) {
	labelled, err := cluster.Items(ctx, metav1.ListOptions{LabelSelector: NodeDriverSelector, FieldSelector: fields}, c.Client.CoreV1().Pods(metav1.NamespaceAll).List,
		func(l *corev1.PodList) []corev1.Pod { return l.Items })
	if err != nil || len(c.Drivers) == 0 {
		return labelled, err
	}
	pods := slices.DeleteFunc(labelled, func(p corev1.Pod) bool { return !slices.Contains(c.Drivers, nameOf(p.Spec)) })
	for _, driver := range c.Drivers {
		if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return nameOf(p.Spec) == driver }) {
			continue
		}
		sets, err := FindDriverSets(ctx, c, driver)
		if err != nil {
			continue // the labels are all that can be seen
		}
		for _, set := range sets {
			list, err := c.Client.CoreV1().Pods(set.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector), FieldSelector: fields})
			if err != nil {
				return nil, err
			}
			pods = append(pods, list.Items...)
		}
	}
	return pods, nil
}

func choose(pods []corev1.Pod, node string) (*corev1.Pod, error) {
	var states []string
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp == nil && podutils.IsPodReady(pod) {
			return pod, nil
		}
		states = append(states, fmt.Sprintf("%s/%s (%s)", pod.Namespace, pod.Name, pod.Status.Phase))
	}
	if len(states) == 0 {
		return nil, fmt.Errorf("no pod labelled %s on node %s; install PMEM-CSI there", NodeDriverSelector, node)
	}
	return nil, fmt.Errorf("no PMEM-CSI pod on node %s is Ready: %s", node, strings.Join(states, ", "))
}

// nameFlag gives the driver its name.
const nameFlag = "drivername"

// driverContainer is that with the driver's program: it has its usual name, or gives the driver one.
func driverContainer(spec corev1.PodSpec) (corev1.Container, bool) {
	for _, is := range []func(corev1.Container) bool{
		func(c corev1.Container) bool { return c.Name == NodeDriverContainer },
		func(c corev1.Container) bool { return flagValue(c, nameFlag) != "" },
	} {
		if i := slices.IndexFunc(spec.Containers, is); i >= 0 {
			return spec.Containers[i], true
		}
	}
	return corev1.Container{}, false
}

// ownName is the name that a pod gives to its driver.
func ownName(spec corev1.PodSpec) (string, bool) {
	c, ok := driverContainer(spec)
	if !ok {
		return "", false
	}
	name := flagValue(c, nameFlag)
	return name, name != ""
}

// nameOf is the name of the driver in a pod of PMEM-CSI.
func nameOf(spec corev1.PodSpec) string {
	if name, ok := ownName(spec); ok {
		return name
	}
	return defaultName
}
