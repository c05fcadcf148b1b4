package addons

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
)

func driverPod() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{
		{Name: "pmem-driver", Command: []string{"pmem-csi-driver", "-endpoint=unix:///csi/csi.sock", "-v=3"}, VolumeMounts: []corev1.VolumeMount{{Name: "socket-dir", MountPath: "/csi"}}},
		{Name: "external-provisioner", Args: []string{"--csi-address=/csi/csi.sock"}},
	}}
}

func TestLie(t *testing.T) {
	pod := driverPod()
	for _, fault := range []string{"keeps-content", "never-dax"} {
		if err := lie(&pod, fault); err != nil {
			t.Fatal(err)
		}
		if len(pod.Containers) != 3 || pod.Containers[0].Command[1] != "-endpoint=unix:///csi/driver.sock" {
			t.Fatalf("with the fault %s: %v", fault, pod.Containers)
		}
		front := pod.Containers[2]
		if got, want := strings.Join(front.Args, " "), "-endpoint=/csi/csi.sock -driver=/csi/driver.sock -fault="+fault; got != want || front.VolumeMounts[0].Name != "socket-dir" {
			t.Errorf("arguments %s, mounts %v, want %s", got, front.VolumeMounts, want)
		}
	}
	if err := lie(&pod, ""); err != nil || !reflect.DeepEqual(pod, driverPod()) {
		t.Errorf("without a fault again: %v, %v", pod, err)
	}
	for _, other := range []corev1.PodSpec{{}, {Containers: []corev1.Container{{Command: []string{"-endpoint=unix:///csi/csi.sock"}}}}} {
		if err := lie(&other, "never-dax"); err == nil {
			t.Errorf("of a pod of another form: %v", other)
		}
	}
}

func TestMakeDriverLie(t *testing.T) {
	labels := map[string]string{pmemcsi.PodLabel: pmemcsi.NodePod}
	meta := metav1.ObjectMeta{Name: "driver", Namespace: pmemcsi.Namespace, Labels: labels}
	client := fake.NewClientset(
		&appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{Spec: chosen(driverPod())}}},
		&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: pmemcsi.Name}, Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true), PodInfoOnMount: ptr.To(true)}},
		&appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: "setup", Namespace: pmemcsi.Namespace, Labels: map[string]string{pmemcsi.PodLabel: pmemcsi.SetupPod}},
			Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				NodeSelector: map[string]string{pmemcsi.ConvertLabel: pmemcsi.Convert},
			}}},
		},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1", Labels: map[string]string{"storage": "pmem"}}},
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "node1"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: pmemcsi.Name}}}},
		&corev1.Pod{ObjectMeta: meta, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{ContainerID: "containerd://1"}}}},
	)
	for _, step := range []struct {
		fault      string
		containers int
		replaced   int
		declared   string // capacity, information about the pod, nodes, drivers that are listed, conversion, nodes of its pods
	}{
		{"", 2, 0, "true true pmem 1  force"},
		{"never-dax", 3, 1, "true true pmem 1  force"},
		{"never-dax", 3, 0, "true true pmem 1  force"},
		{"same-volume", 3, 1, "true true pmem 1  force"},
		{"untracked-capacity", 2, 1, "false true pmem 1  force"},
		{"no-pod-info", 2, 0, "true false pmem 1  force"},
		{"no-pod-info", 2, 0, "true false pmem 1  force"},
		{"any-node", 2, 1, "true true  1  force"},
		{"any-node", 2, 0, "true true  1  force"},
		{"unlisted", 2, 1, "true true pmem 0  force"},
		{"unlisted", 2, 0, "true true pmem 0  force"},
		{"unconverted", 2, 0, "true true pmem 1 force "},
		{"unconverted", 2, 0, "true true pmem 1 force "},
		{"never-dax", 3, 1, "true true pmem 1  force"},
		{"", 2, 1, "true true pmem 1  force"},
	} {
		replaced, err := MakeDriverLie(t.Context(), client, step.fault)
		if err != nil {
			t.Fatal(err)
		}
		set, err := client.AppsV1().DaemonSets(pmemcsi.Namespace).Get(t.Context(), "driver", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(set.Spec.Template.Spec.Containers); got != step.containers || len(replaced) != step.replaced {
			t.Errorf("fault %q: %d containers, %v replaced, want %d and %d", step.fault, got, replaced, step.containers, step.replaced)
		}
		driver, err := client.StorageV1().CSIDrivers().Get(t.Context(), pmemcsi.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		listing, err := client.StorageV1().CSINodes().Get(t.Context(), "node1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		node, err := client.CoreV1().Nodes().Get(t.Context(), "node1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		converter, err := client.AppsV1().DaemonSets(pmemcsi.Namespace).Get(t.Context(), "setup", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(*driver.Spec.StorageCapacity, *driver.Spec.PodInfoOnMount, " ", set.Spec.Template.Spec.NodeSelector["storage"], " ",
			len(listing.Spec.Drivers), " ", node.Labels[pmemcsi.ConvertLabel], " ", converter.Spec.Template.Spec.NodeSelector[pmemcsi.ConvertLabel])
		if got != step.declared {
			t.Errorf("fault %q: declared is %s, want %s", step.fault, got, step.declared)
		}
	}
	if _, err := MakeDriverLie(t.Context(), fake.NewClientset(), "never-dax"); err == nil || !strings.Contains(err.Error(), "0 DaemonSets") {
		t.Errorf("without a driver: %v", err)
	}
}

// chosen is a pod that only runs on the nodes with a label.
func chosen(p corev1.PodSpec) corev1.PodSpec {
	p.NodeSelector = map[string]string{"storage": "pmem"}
	return p
}
