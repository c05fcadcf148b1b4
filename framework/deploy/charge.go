package deploy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var podInitContainers = []string{"spec", "template", "spec", "initContainers"}

// addMemory adds the size of a volume in memory to the requests and limits of the containers that mount it, and to those of
// the pod: the kernel charges its pages to the container that writes them first, and then to the pod. It returns what it
// has changed. Where no memory is requested or limited, nothing changes.
func addMemory(workload *unstructured.Unstructured, v Volume) (raised []string, err error) {
	pod := []string{"spec", "template", "spec", "resources"}
	if of, ok, _ := unstructured.NestedMap(workload.Object, pod...); ok {
		more, err := addTo(of, v.Size)
		if err != nil {
			return nil, fmt.Errorf("the pod: %w", err)
		}
		if more {
			if err := unstructured.SetNestedMap(workload.Object, of, pod...); err != nil {
				return nil, err
			}
			raised = append(raised, "the pod")
		}
	}
	for _, path := range [][]string{podInitContainers, podContainers} {
		containers, _, err := unstructured.NestedSlice(workload.Object, path...)
		if err != nil {
			return nil, err
		}
		for _, item := range containers {
			container, _ := item.(map[string]any)
			of, ok := container["resources"].(map[string]any)
			if !ok || !mounts(container, v.Name) {
				continue
			}
			name := "container " + volumeName(container)
			more, err := addTo(of, v.Size)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if more {
				raised = append(raised, name)
			}
		}
		if len(containers) > 0 {
			if err := unstructured.SetNestedSlice(workload.Object, containers, path...); err != nil {
				return nil, err
			}
		}
	}
	return raised, nil
}

func mounts(container map[string]any, volume string) bool {
	list, _ := container["volumeMounts"].([]any)
	for _, item := range list {
		if mount, ok := item.(map[string]any); ok && volumeName(mount) == volume {
			return true
		}
	}
	return false
}

// addTo adds size to the memory in requests and limits, as far as it is stated.
func addTo(resources map[string]any, size resource.Quantity) (more bool, err error) {
	for _, part := range []string{"requests", "limits"} {
		amounts, _ := resources[part].(map[string]any)
		stated, ok := amounts[string(corev1.ResourceMemory)]
		if !ok {
			continue
		}
		q, err := resource.ParseQuantity(fmt.Sprint(stated))
		if err != nil {
			return false, fmt.Errorf("resources.%s.memory: %v: %w", part, stated, err)
		}
		q.Add(size)
		amounts[string(corev1.ResourceMemory)] = q.String()
		more = true
	}
	return more, nil
}
