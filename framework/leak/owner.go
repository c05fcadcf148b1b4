package leak

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/probe"
)

// owners reports in which namespace the object is that a volume on a node belongs to.
type owners struct {
	volumes map[string]owner // by volume id
	pods    map[string]owner // by UID
}

type owner struct{ namespace, name string }

const ofNothing = "of no known object"

func newOwners(objects []object) *owners {
	o := &owners{volumes: map[string]owner{}, pods: map[string]owner{}}
	for _, object := range objects {
		switch object.kind {
		case "Pod":
			o.pods[string(object.UID)] = owner{object.Namespace, fmt.Sprintf("pod %s/%s", object.Namespace, object.Name)}
		case "PersistentVolumeClaim":
			// The external-provisioner names a volume so before there is a PersistentVolume.
			o.volumes[pmem.VolumeID("pvc-"+string(object.UID))] = owner{object.Namespace, fmt.Sprintf("claim %s/%s", object.Namespace, object.Name)}
		}
	}
	for _, object := range objects {
		if object.handle != "" {
			o.volumes[object.handle] = owner{object.owner, "PersistentVolume " + object.Name}
		}
	}
	return o
}

// of returns whose a volume is that is mounted for the pod of the given UID, if any, and in words.
func (o *owners) of(volume, pod string) (namespace, by string) {
	if owner, ok := o.volumes[volume]; ok {
		return owner.namespace, "of " + owner.name
	}
	if owner, ok := o.pods[pod]; ok {
		return owner.namespace, "of " + owner.name
	}
	if pmem.IsVolumeID(volume) || pod != "" {
		return "", ofNothing
	}
	return "", ""
}

var podPath = regexp.MustCompile(`/pods/([0-9a-f]{8}-[0-9a-f-]{27})/`)

// mountedFor returns the UID of a pod by the volume that is mounted for it.
func mountedFor(mounts []probe.Mount) map[string]string {
	pods := map[string]string{}
	for _, m := range mounts {
		if match := podPath.FindStringSubmatch(m.Path); match != nil {
			pods[volumeOf(m)] = match[1]
		}
	}
	return pods
}

// volumeOf names the volume that is mounted: its logical volume, else its device.
func volumeOf(m probe.Mount) string {
	if _, volume, ok := pmem.MountedVolume(m); ok {
		return volume
	}
	return m.Device
}

// complete reports whether every volume has an owner.
func (o *owners) complete(inv pmem.Inventory) bool {
	pods := mountedFor(inv.Mounts)
	var names []string
	for _, v := range inv.Volumes {
		names = append(names, v.Name)
	}
	for _, ns := range inv.Namespaces {
		names = append(names, ns.Name)
	}
	for _, file := range inv.Files {
		names = append(names, stateFileVolume(file))
	}
	return !slices.ContainsFunc(names, func(name string) bool {
		_, by := o.of(name, pods[name])
		return by == ofNothing
	})
}

// addInline adds the inline volumes of the pods on a node. They have no object of their own, and while
// one is not mounted only the pod's specification shows that it is the pod's.
func (o *owners) addInline(ctx context.Context, client kubernetes.Interface, node string) error {
	limited, cancel := context.WithTimeoutCause(ctx, partLimit, fmt.Errorf("no answer within %s", partLimit))
	defer cancel()
	pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(limited, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		for _, v := range pod.Spec.Volumes {
			if v.CSI != nil {
				id := pmem.VolumeID(pmem.InlineName(string(pod.UID), v.Name))
				o.volumes[id] = owner{pod.Namespace, fmt.Sprintf("pod %s/%s", pod.Namespace, pod.Name)}
			}
		}
	}
	return nil
}
