package deploy

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Container is memcached's, and its index among the containers of the pod.
func (m *Manifest) Container() (int, corev1.Container) {
	containers := m.template.Spec.Containers
	i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == Container })
	return i, containers[i]
}

// InitContainers are those of the pod.
func (m *Manifest) InitContainers() []corev1.Container { return m.template.Spec.InitContainers }

// ClaimTemplates are the names of those of a StatefulSet, in their order.
func (m *Manifest) ClaimTemplates() []string {
	names := make([]string, len(m.claims))
	for i, c := range m.claims {
		names[i] = c.Name
	}
	return names
}

// Mentions reports whether memcached's container, or a script in a ConfigMap, has
// a word in it.
func (m *Manifest) Mentions(word string) bool {
	_, c := m.Container()
	if strings.Contains(strings.Join(slices.Concat(c.Command, c.Args), " "), word) {
		return true
	}
	return slices.ContainsFunc(m.Objects, func(o *unstructured.Unstructured) bool {
		if o.GetKind() != "ConfigMap" {
			return false
		}
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		for key, text := range data {
			if key == word || strings.Contains(text, word) {
				return true
			}
		}
		return false
	})
}
