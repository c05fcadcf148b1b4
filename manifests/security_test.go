package manifests_test

import (
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestLeastPrivilege evaluates the pods as the API server does in a namespace
// that enforces the restricted Pod Security Standard, and adds what that
// standard leaves open.
func TestLeastPrivilege(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, base := range []string{"ephemeral", "persistent"} {
		t.Run(base, func(t *testing.T) {
			pod := render(t, base, nil).template(t)
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
			if !result.Allowed {
				t.Errorf("Pod Security Standard restricted forbids the pod: %s", result.ForbiddenDetail())
			}
			privileged := pod.DeepCopy()
			yes := true
			privileged.Spec.InitContainers[0].SecurityContext.Privileged = &yes
			if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &privileged.ObjectMeta, &privileged.Spec)).Allowed {
				t.Error("the evaluation allows a privileged init container: it checks nothing")
			}

			equal(t, "automountServiceAccountToken", *pod.Spec.AutomountServiceAccountToken, false)
			equal(t, "enableServiceLinks", *pod.Spec.EnableServiceLinks, false)
			equal(t, "runAsUser", *pod.Spec.SecurityContext.RunAsUser, int64(memcacheUser))
			equal(t, "runAsGroup", *pod.Spec.SecurityContext.RunAsGroup, int64(memcacheUser))
			equal(t, "fsGroup", *pod.Spec.SecurityContext.FSGroup, int64(memcacheUser))
			for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
				equal(t, container.Name+" readOnlyRootFilesystem", *container.SecurityContext.ReadOnlyRootFilesystem, true)
				if container.SecurityContext.RunAsUser != nil {
					t.Errorf("%s sets its own user %d", container.Name, *container.SecurityContext.RunAsUser)
				}
				if container.Resources.Requests.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero() {
					t.Errorf("%s requests no CPU or no memory", container.Name)
				}
				if len(container.Resources.Limits) != 0 {
					t.Errorf("%s has limits %v: they depend on the load, so they are the user's", container.Name, container.Resources.Limits)
				}
			}
		})
	}
}
