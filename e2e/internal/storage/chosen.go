package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// EveryNode is the [Selection] of a driver that no label keeps to some of the nodes.
const EveryNode = "every node"

// documented are the labels by which PMEM-CSI's documentation chooses nodes, docs/install.md of v1.1.0: one set by hand, and one
// set by Node Feature Discovery.
var documented = labels.Set{"storage": "pmem", "feature.node.kubernetes.io/memory-nv.dax": "true"}

// common are labels that the kubelet gives to every node, so that they choose none of them.
var common = []string{corev1.LabelOSStable, corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch"}

// Selection is how the pods of a driver choose nodes by labels that not every node has, or [EveryNode].
func Selection(p corev1.PodSpec) string {
	var chosen []string
	for _, key := range slices.Sorted(maps.Keys(p.NodeSelector)) {
		if !slices.Contains(common, key) {
			chosen = append(chosen, key+"="+p.NodeSelector[key])
		}
	}
	if a := p.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		var terms []string
		for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			var parts []string
			for _, r := range term.MatchExpressions {
				everywhere := slices.Contains(common, r.Key) || r.Key == corev1.LabelHostname && r.Operator == corev1.NodeSelectorOpExists
				if !everywhere {
					parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Key, r.Operator, strings.Join(r.Values, ","))))
				}
			}
			terms = append(terms, strings.Join(parts, " and "))
		}
		if !slices.Contains(terms, "") { // such a term lets the pods go anywhere
			chosen = append(chosen, strings.Join(terms, " or "))
		}
	}
	if len(chosen) == 0 {
		return EveryNode
	}
	return strings.Join(chosen, ", ")
}

// ChosenNodes are the names of the nodes that carry the label of a driver's installation, and what that label is. It is
// the label by which its pods select nodes. Pods without one do not show which nodes were chosen, and run
// everywhere; then it is one that PMEM-CSI documents.
func ChosenNodes(p corev1.PodSpec, nodes []corev1.Node) (label string, names []string, err error) {
	match := nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: p}).Match
	label = Selection(p)
	if label == EveryNode {
		var texts []string
		for _, key := range slices.Sorted(maps.Keys(documented)) {
			texts = append(texts, key+"="+documented[key])
		}
		label = strings.Join(texts, " or ")
		match = func(n *corev1.Node) (bool, error) {
			for key, value := range documented {
				if n.Labels[key] == value {
					return true, nil
				}
			}
			return false, nil
		}
	}
	for i := range nodes {
		ok, err := match(&nodes[i])
		if err != nil {
			return label, nil, fmt.Errorf("match node %s with %s: %w", nodes[i].Name, label, err)
		}
		if ok {
			names = append(names, nodes[i].Name)
		}
	}
	return label, names, nil
}
