package addons

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
)

// The driver's sockets in its pods: the one that the kubelet and the provisioner use, and the one at which the driver
// itself answers when it is made to lie.
const (
	socketDir    = "/csi"
	socket       = socketDir + "/csi.sock"
	behind       = socketDir + "/driver.sock"
	endpointFlag = "-endpoint=unix://"
)

// MakeDriverLie puts a program in front of the driver on every node that changes its answers by a fault, or changes the
// driver's objects by one of [Setups], and takes either back if fault is empty. It returns the ids of the containers that are replaced for that; none if nothing changes.
func MakeDriverLie(ctx context.Context, client kubernetes.Interface, fault string) (replaced []string, err error) {
	sets := client.AppsV1().DaemonSets(pmemcsi.Namespace)
	list, err := sets.List(ctx, metav1.ListOptions{LabelSelector: pmemcsi.PodLabel + "=" + pmemcsi.NodePod})
	if err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("there are %d DaemonSets of the driver in namespace %s, want 1", len(list.Items), pmemcsi.Namespace)
	}
	set := &list.Items[0]
	pods, err := client.CoreV1().Pods(pmemcsi.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector)})
	if err != nil {
		return nil, err
	}
	before := set.Spec.Template.Spec.DeepCopy()
	if err := setUp(ctx, client, fault, set); err != nil {
		return nil, err
	}
	if _, ok := setups[fault]; ok {
		fault = ""
	}
	if err := lie(&set.Spec.Template.Spec, fault); err != nil {
		return nil, fmt.Errorf("DaemonSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	if sameCommands(before.Containers, set.Spec.Template.Spec.Containers) && maps.Equal(before.NodeSelector, set.Spec.Template.Spec.NodeSelector) {
		return nil, nil
	}
	if _, err := sets.Update(ctx, set, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			replaced = append(replaced, c.ContainerID)
		}
	}
	return replaced, nil
}

func lie(pod *corev1.PodSpec, fault string) error {
	pod.Containers = slices.DeleteFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == artifact.LyingDriver })
	at := socket
	if fault != "" {
		at = behind
	}
	for _, c := range pod.Containers {
		i := slices.IndexFunc(c.Command, func(word string) bool { return strings.HasPrefix(word, endpointFlag) })
		if i < 0 {
			continue
		}
		mount := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == socketDir })
		if mount < 0 {
			return fmt.Errorf("container %s mounts nothing at %s", c.Name, socketDir)
		}
		c.Command[i] = endpointFlag + at
		if fault != "" {
			pod.Containers = append(pod.Containers, corev1.Container{
				Name: artifact.LyingDriver, Image: artifact.LyingDriverImage.Reference(), ImagePullPolicy: corev1.PullIfNotPresent,
				Args:         []string{"-endpoint=" + socket, "-driver=" + behind, "-fault=" + fault},
				VolumeMounts: []corev1.VolumeMount{c.VolumeMounts[mount]},
			})
		}
		return nil
	}
	return fmt.Errorf("no container has a command with %s", endpointFlag)
}

// sameCommands reports whether two lists of containers run the same.
func sameCommands(a, b []corev1.Container) bool {
	return slices.EqualFunc(a, b, func(a, b corev1.Container) bool {
		return slices.Equal(a.Command, b.Command) && slices.Equal(a.Args, b.Args)
	})
}
