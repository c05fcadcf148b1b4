package deploy

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// namespaced reports whether objects of o's kind live in a namespace; kinds unknown to kustomize's
// schema are taken as such until the API server says otherwise.
func namespaced(o *unstructured.Unstructured) bool {
	return !openapi.IsCertainlyClusterScoped(yaml.TypeMeta{APIVersion: o.GetAPIVersion(), Kind: o.GetKind()})
}

func isNamespace(o *unstructured.Unstructured) bool {
	return o.GetAPIVersion() == "v1" && o.GetKind() == "Namespace"
}

// moveTo moves every namespaced object, and every reference of a role binding to a service account
// that moves along, to namespace. Namespace objects are dropped.
func moveTo(objects []*unstructured.Unstructured, namespace string) []*unstructured.Unstructured {
	from := map[string]bool{"": true}
	for _, o := range objects {
		if namespaced(o) {
			from[o.GetNamespace()] = true
		}
	}
	var kept []*unstructured.Unstructured
	for _, o := range objects {
		if isNamespace(o) {
			continue
		}
		if namespaced(o) {
			o.SetNamespace(namespace)
		}
		moveSubjects(o, from, namespace)
		kept = append(kept, o)
	}
	return kept
}

func fillNamespace(objects []*unstructured.Unstructured, namespace string) {
	for _, o := range objects {
		if namespaced(o) && o.GetNamespace() == "" {
			o.SetNamespace(namespace)
		}
		moveSubjects(o, map[string]bool{"": true}, namespace)
	}
}

func moveSubjects(o *unstructured.Unstructured, from map[string]bool, namespace string) {
	if kind := o.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
		return
	}
	subjects, _ := o.Object["subjects"].([]any)
	for _, item := range subjects {
		subject, ok := item.(map[string]any)
		if !ok || subject["kind"] != "ServiceAccount" {
			continue
		}
		if current, _ := subject["namespace"].(string); from[current] {
			subject["namespace"] = namespace
		}
	}
}

// replaceImages sets image in every container, however deep in node, that runs a memcached image.
func replaceImages(node any, image string) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			list, isList := value.([]any)
			if !isList || (key != "containers" && key != "initContainers") {
				replaceImages(value, image)
				continue
			}
			for _, item := range list {
				container, ok := item.(map[string]any)
				if !ok {
					continue
				}
				if current, _ := container["image"].(string); isMemcached(current) {
					container["image"] = image
					container["imagePullPolicy"] = "IfNotPresent"
				}
			}
		}
	case []any:
		for _, item := range node {
			replaceImages(item, image)
		}
	}
}

// isMemcached reports whether the last element of the image's repository is memcached, whatever
// its registry, tag and digest.
func isMemcached(image string) bool {
	repository, _, _ := strings.Cut(image, "@")
	last := repository[strings.LastIndex(repository, "/")+1:]
	name, _, _ := strings.Cut(last, ":")
	return name == "memcached"
}
