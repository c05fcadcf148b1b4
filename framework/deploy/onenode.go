package deploy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const affinityField = "affinity"

// ontoOneNode has the scheduler place all replicas on the node of the first, whatever spreads them as written.
func (m *Manifest) ontoOneNode() error {
	workload := m.workload()
	fail := func(err error) error { return fmt.Errorf("placing all replicas on one node: %w", err) }
	pod, found, err := unstructured.NestedMap(workload.Object, "spec", "template", "spec")
	if err != nil || !found {
		return fail(fmt.Errorf("spec.template.spec of %s %s: %w", m.Kind, m.Name, err))
	}
	selector, _, err := unstructured.NestedMap(workload.Object, "spec", "selector")
	if err != nil {
		return fail(err)
	}
	antiAffinity := []string{affinityField, "podAntiAffinity"}
	if _, spread := pod["topologySpreadConstraints"]; spread {
		m.adjusted("the topology spread constraints of %s %s are left out where two of its pods are examined on one node", m.Kind, m.Name)
		delete(pod, "topologySpreadConstraints")
	}
	if _, spread, _ := unstructured.NestedMap(pod, antiAffinity...); spread {
		m.adjusted("the pod anti-affinity of %s %s is left out where two of its pods are examined on one node", m.Kind, m.Name)
		unstructured.RemoveNestedField(pod, antiAffinity...)
	}
	required := []string{affinityField, "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"}
	terms, _, err := unstructured.NestedSlice(pod, required...)
	if err != nil {
		return fail(err)
	}
	// The scheduler lets the first pod of such a group go anywhere.
	terms = append(terms, map[string]any{"labelSelector": selector, "topologyKey": corev1.LabelHostname})
	if err := unstructured.SetNestedSlice(pod, terms, required...); err != nil {
		return fail(err)
	}
	if err := unstructured.SetNestedMap(workload.Object, pod, "spec", "template", "spec"); err != nil {
		return fail(err)
	}
	return m.setWorkload(workload)
}
