package deploy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// home has the labels and annotations of the Namespace object called namespace.
func home(objects []*unstructured.Unstructured, namespace string) metav1.ObjectMeta {
	for _, o := range objects {
		if isNamespace(o) && o.GetName() == namespace {
			return metav1.ObjectMeta{Labels: o.GetLabels(), Annotations: o.GetAnnotations()}
		}
	}
	return metav1.ObjectMeta{}
}

// moveTo moves every namespaced object, and every reference of a role binding to a service account, of a
// webhook to a Service, and of a label selector to a namespace that moves along, to namespace. Namespace
// objects are dropped.
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
		moveReferences(o.Object, from, namespace)
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

// moveReferences moves what refers to a namespace of the kustomization by its name, however deep in node:
// selectors of namespaces by the label that every namespace has, and the Service of a webhook.
func moveReferences(node any, from map[string]bool, namespace string) {
	switch node := node.(type) {
	case map[string]any:
		if current, ok := node[corev1.LabelMetadataName].(string); ok && current != "" && from[current] {
			node[corev1.LabelMetadataName] = namespace
		}
		if client, ok := node["clientConfig"].(map[string]any); ok {
			if service, ok := client["service"].(map[string]any); ok {
				if current, _ := service["namespace"].(string); from[current] {
					service["namespace"] = namespace
				}
			}
		}
		for _, value := range node {
			moveReferences(value, from, namespace)
		}
	case []any:
		for _, item := range node {
			moveReferences(item, from, namespace)
		}
	}
}
