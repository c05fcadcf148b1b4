package deploy

import (
	"fmt"
	"slices"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// scalerFields are where kinds of autoscalers name the workload that they change.
var scalerFields = map[string]string{
	"HorizontalPodAutoscaler": "scaleTargetRef",
	"ScaledObject":            "scaleTargetRef", // of KEDA
	"VerticalPodAutoscaler":   "targetRef",
}

// setReplicas replaces the number of replicas. It leaves out autoscalers of the workload, and disruption
// budgets that allow an eviction with the number that is written but none with the new one.
func (m *Manifest) setReplicas(replicas int32) error {
	if replicas == 0 {
		return nil
	}
	workload, written := m.workload(), m.replicas
	var kept []*unstructured.Unstructured
	for _, o := range m.Objects {
		switch {
		case m.scales(o):
			m.adjusted("%s %s is left out, because it would change %s %s while it is examined", o.GetKind(), o.GetName(), m.Kind, m.Name)
			continue
		case written > replicas && m.protects(o):
			was, is := allowed(o, written), allowed(o, replicas)
			if was > 0 && is <= 0 {
				m.adjusted("%s %s is left out, because it allows %d evictions with %d replicas and none with %d", o.GetKind(), o.GetName(), was, written, replicas)
				continue
			}
		}
		kept = append(kept, o)
	}
	m.Objects = kept
	if written == replicas {
		return nil
	}
	m.adjusted("%s %s has %d replicas as written, and is examined with %d", m.Kind, m.Name, written, replicas)
	if err := setNested(workload.Object, int64(replicas), "spec", "replicas"); err != nil {
		return fmt.Errorf("setting the number of replicas: %w", err)
	}
	return m.setWorkload(workload)
}

func (m *Manifest) adjusted(format string, args ...any) {
	m.Adjusted = append(m.Adjusted, fmt.Sprintf(format, args...))
}

// scales reports whether o is an autoscaler of the workload.
func (m *Manifest) scales(o *unstructured.Unstructured) bool {
	field, ok := scalerFields[o.GetKind()]
	if !ok {
		return false
	}
	target, _, _ := unstructured.NestedMap(o.Object, "spec", field)
	// KEDA takes a target without a kind for a Deployment.
	return target["name"] == m.Name && slices.Contains([]any{m.Kind, nil}, target["kind"])
}

// protects reports whether o is a disruption budget of the workload's pods.
func (m *Manifest) protects(o *unstructured.Unstructured) bool {
	budget, ok := budgetOf(o)
	if !ok {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	return err == nil && selector.Matches(labels.Set(m.template.Labels))
}

func budgetOf(o *unstructured.Unstructured) (budget policyv1.PodDisruptionBudget, ok bool) {
	if o.GetKind() != "PodDisruptionBudget" || o.GroupVersionKind().Group != policyv1.GroupName {
		return budget, false
	}
	return budget, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &budget) == nil
}

// allowed is how many of a number of pods a disruption budget lets be evicted.
func allowed(o *unstructured.Unstructured, pods int32) int {
	budget, _ := budgetOf(o)
	part := func(of *intstr.IntOrString) int {
		n, err := intstr.GetScaledValueFromIntOrPercent(of, int(pods), true)
		if err != nil {
			return 0
		}
		return n
	}
	switch {
	case budget.Spec.MaxUnavailable != nil:
		return part(budget.Spec.MaxUnavailable)
	case budget.Spec.MinAvailable != nil:
		return int(pods) - part(budget.Spec.MinAvailable)
	}
	return int(pods) - 1 // minAvailable is 1 then
}
