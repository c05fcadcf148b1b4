// Package idle has pods in which nothing runs except commands of a spec.
package idle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
)

// Run runs a command that has to end with exit code 0 in a container of p and
// returns its output. attempted is its purpose, for the error.
func Run(ctx context.Context, e *framework.Env, p *corev1.Pod, container, attempted string, command ...string) string {
	r, err := e.Cluster.Exec(ctx, p.Namespace, p.Name, container, command...)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit code %d: %s", r.ExitCode, r.Stderr)
	}
	e.NoError(err, "%s", attempted)
	return r.Stdout
}

// Pod is an unprivileged companion of the deployment with volumes, each mounted at / and its name. It can be made
// in a namespace without the deployment, too.
func Pod(ctx context.Context, e *framework.Env, m *deploy.Manifest, prefix string, volumes ...corev1.Volume) *corev1.Pod {
	e.NoError(m.Prepare(ctx, e.Cluster, e.Ledger), "prepare namespace %s for a pod", m.Namespace)
	container := corev1.Container{Name: deploy.Container, Image: e.HelperImage(ctx, m), Command: []string{"sleep", "3600"}}
	for _, v := range volumes {
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: "/" + v.Name})
	}
	p := m.Companion(prefix, container)
	p.Spec.Volumes, p.Spec.TerminationGracePeriodSeconds = volumes, ptr.To(int64(1))
	return p
}

// InlineVolume is a CSI inline volume; fsType may be empty.
func InlineVolume(driver, fsType string, attributes map[string]string) corev1.Volume {
	source := &corev1.CSIVolumeSource{Driver: driver, VolumeAttributes: attributes}
	if fsType != "" {
		source.FSType = &fsType
	}
	return corev1.Volume{Name: "volume", VolumeSource: corev1.VolumeSource{CSI: source}}
}

// ClaimVolume is the volume of a claim.
func ClaimVolume(name string, claim *corev1.PersistentVolumeClaim) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
	}}
}

// OnNode lets the scheduler place a pod on one node only, which a claim that is
// bound for its first consumer needs.
func OnNode(name string) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
		}}},
	}}}
}
