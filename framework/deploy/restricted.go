package deploy

import corev1 "k8s.io/api/core/v1"

// RestrictedPod is a pod of the suite's own that every namespace admits: it fits the level
// restricted of the Pod Security Standards. Its containers run as user and group id,
// without a token of the API, and are not started again.
func RestrictedPod(id int64, containers ...corev1.Container) corev1.PodSpec {
	no, yes := false, true
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &id, RunAsGroup: &id,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	for _, c := range containers {
		c.SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		spec.Containers = append(spec.Containers, c)
	}
	return spec
}
