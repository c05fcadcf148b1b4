package storage

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestChosenNodes has ways in which a driver selects nodes, and the nodes on which it has to run whatever it selects.
func TestChosenNodes(t *testing.T) {
	node := func(name string, more ...string) corev1.Node {
		labels := map[string]string{corev1.LabelOSStable: "linux", corev1.LabelHostname: name}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	nodes := []corev1.Node{node("by-hand", "storage", "pmem"), node("found", "feature.node.kubernetes.io/memory-nv.dax", "true"), node("own", "pool", "cache"), node("plain")}
	terms := func(all ...[]corev1.NodeSelectorRequirement) *corev1.Affinity {
		s := &corev1.NodeSelector{}
		for _, expressions := range all {
			s.NodeSelectorTerms = append(s.NodeSelectorTerms, corev1.NodeSelectorTerm{MatchExpressions: expressions})
		}
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: s}}
	}
	pool := []corev1.NodeSelectorRequirement{{Key: "pool", Operator: corev1.NodeSelectorOpIn, Values: []string{"cache"}}}
	linux := []corev1.NodeSelectorRequirement{{Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpIn, Values: []string{"linux"}}}
	for name, tt := range map[string]struct {
		spec      corev1.PodSpec
		selection string
		want      []string
	}{
		"the documented label": {corev1.PodSpec{NodeSelector: map[string]string{"storage": "pmem"}}, "storage=pmem", []string{"by-hand"}},
		"another label":        {corev1.PodSpec{NodeSelector: map[string]string{"pool": "cache", corev1.LabelOSStable: "linux"}}, "pool=cache", []string{"own"}},
		"by affinity":          {corev1.PodSpec{Affinity: terms(pool)}, "pool In cache", []string{"own"}},
		"none":                 {corev1.PodSpec{}, EveryNode, []string{"by-hand", "found"}},
		"one of every node":    {corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelOSStable: "linux"}}, EveryNode, []string{"by-hand", "found"}},
		"affinity to any node": {corev1.PodSpec{Affinity: terms(pool, linux)}, EveryNode, []string{"by-hand", "found"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Selection(tt.spec); got != tt.selection {
				t.Errorf("selects %q, want %q", got, tt.selection)
			}
			if _, got, err := ChosenNodes(tt.spec, nodes); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("chosen %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}
