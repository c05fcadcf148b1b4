package storage

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAffinityNodes has affinities of a volume on node-1, of which only the first ties it to that node alone.
func TestAffinityNodes(t *testing.T) {
	const key = "driver.example/node"
	var nodes []corev1.Node
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		nodes = append(nodes, corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{key: name}}})
	}
	for _, tt := range []struct {
		name, key string
		operator  corev1.NodeSelectorOperator
		values    []string
		want      []string
	}{
		{"its node", key, corev1.NodeSelectorOpIn, []string{"node-1"}, []string{"node-1"}},
		{"all but its node", key, corev1.NodeSelectorOpNotIn, []string{"node-1"}, []string{"node-2", "node-3"}},
		{"a key that no node has", "other.example/node", corev1.NodeSelectorOpIn, []string{"node-1"}, nil},
		{"any node with the driver", key, corev1.NodeSelectorOpExists, nil, []string{"node-1", "node-2", "node-3"}},
		{"none", "", "", nil, []string{"node-1", "node-2", "node-3", EveryOther}},
	} {
		pv := &corev1.PersistentVolume{}
		if tt.key != "" {
			pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: tt.key, Operator: tt.operator, Values: tt.values}}}}}}
		}
		if got, err := AffinityNodes(pv, nodes); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}
