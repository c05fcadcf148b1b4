package preflight

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/deploy"
)

// probeCommand prints the version and the options. It needs no shell and no volume, and listens nowhere.
var probeCommand = []string{"memcached", "-h"}

// probePod has a container for each image of the manifest's pods, and goes where they go. The first one is
// memcached's, the others run a command that their image may lack: what counts is that the image was there
// to try.
func probePod(m *deploy.Manifest, nodes []string) *corev1.Pod {
	var containers []corev1.Container
	seen := map[string]bool{}
	add := func(c corev1.Container, name string, command ...string) {
		if seen[c.Image] {
			return
		}
		seen[c.Image] = true
		containers = append(containers, corev1.Container{Name: name, Image: c.Image, ImagePullPolicy: c.ImagePullPolicy, Command: command})
	}
	from := m.Template().Spec
	add(deploy.MemcachedContainer(from), deploy.Container, probeCommand...)
	for _, list := range [][]corev1.Container{from.InitContainers, from.Containers} {
		for _, c := range list {
			add(c, fmt.Sprintf("image-%d", len(containers)), "true")
		}
	}
	pod := m.Companion("image-", containers...)
	pod.Spec.Affinity = affinity(pod.Spec.Affinity, nodes)
	return pod
}

// affinity asks for one of the nodes, unless the template asks for some of its
// own.
func affinity(of *corev1.Affinity, nodes []string) *corev1.Affinity {
	if of != nil && of.NodeAffinity != nil && of.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		return &corev1.Affinity{NodeAffinity: of.NodeAffinity}
	}
	if len(nodes) == 0 {
		return nil
	}
	var terms []corev1.NodeSelectorTerm
	for _, node := range nodes { // a term names one node, and one term has to match
		terms = append(terms, corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}})
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
}
