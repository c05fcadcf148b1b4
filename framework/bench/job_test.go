package bench

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestLeastPrivilege evaluates the pods of the clients as the API server does
// in a namespace that enforces the restricted Pod Security Standard.
func TestLeastPrivilege(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	pod := Job{Image: "memcached", Count: 1, Place: Anywhere}.object(7).Spec.Template
	if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
		t.Errorf("Pod Security Standard restricted forbids the pod: %s", result.ForbiddenDetail())
	}
	yes := true
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)).Allowed {
		t.Error("the evaluation allows to gain privileges: it checks nothing")
	}
	if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
		t.Error("the clients get a token for the API server")
	}
}

func TestPlacement(t *testing.T) {
	for place, want := range map[Placement]string{
		Anywhere:    `null`,
		SameNode:    `{"key":"metadata.name","operator":"In","values":["node7"]}`,
		AnotherNode: `{"key":"metadata.name","operator":"NotIn","values":["node7"]}`,
	} {
		job := Job{Count: 4, Place: place, Node: "node7"}.object(1)
		text, err := json.Marshal(job.Spec.Template.Spec.Affinity)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s: affinity %s, want %s", place, text, want)
		}
		if *job.Spec.Completions != 4 || *job.Spec.Parallelism != 4 || *job.Spec.BackoffLimitPerIndex != 0 {
			t.Errorf("%s: the clients do not run all at once, or are replaced", place)
		}
	}
}
