package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/wait"
)

// deployed is a deployment in namespace n.
func deployed(t *testing.T) *deploy.Manifest {
	t.Helper()
	m, err := deploytest.Load(t, "server", deploytest.Inline).In("n")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLeastPrivilege evaluates the pods of the clients as the API server does
// in a namespace that enforces the restricted Pod Security Standard.
func TestLeastPrivilege(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	pod := Job{Server: deployed(t), Count: 1, Place: Anywhere}.object().Spec.Template
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
		job := Job{Server: deployed(t), Count: 4, Place: place, Node: "node7"}.object()
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

// TestLabels has a network policy that lets pods of one role connect to memcached.
func TestLabels(t *testing.T) {
	const policy = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-only}
spec: {podSelector: {matchLabels: {app: cache}}, ingress: [{from: [{podSelector: {matchLabels: {role: web}}}]}]}
`
	m, err := deploytest.Load(t, "server", deploytest.Inline+policy).In("n")
	if err != nil {
		t.Fatal(err)
	}
	got := Job{Server: m, Count: 1, Place: Anywhere}.object().Spec.Template.Labels
	if got["role"] != "web" || got["app"] == "cache" || !m.Admits(got) {
		t.Errorf("labels of the clients are %v", got)
	}
}

// TestWhereTheDeploymentRuns expects clients on the node of the server only where the deployment may run.
func TestWhereTheDeploymentRuns(t *testing.T) {
	required := func(values ...string) *corev1.Affinity {
		var terms []corev1.NodeSelectorTerm
		for _, v := range values {
			terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "pool", Operator: corev1.NodeSelectorOpIn, Values: []string{v}}}})
		}
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
	}
	got := Job{Place: SameNode, Node: "node7"}.affinity(required("a", "b"))
	for _, term := range got.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		if len(term.MatchExpressions) != 1 || len(term.MatchFields) != 1 {
			t.Errorf("a term matches other nodes: %+v", term)
		}
	}
	pod := Job{Server: deployed(t), Count: 1, Place: Anywhere}.object().Spec.Template.Spec
	if len(pod.Tolerations) != 1 || pod.Tolerations[0].Key != "pmem" {
		t.Errorf("tolerations %+v, want those of the deployment", pod.Tolerations)
	}
}

// clusterOf is one whose Job and pods are as given.
func clusterOf(objects ...runtime.Object) *cluster.Cluster {
	return &cluster.Cluster{Client: fake.NewClientset(objects...)}
}

func jobObject(j Job, change func(*batchv1.JobStatus)) *batchv1.Job {
	o := j.object()
	change(&o.Status)
	return o
}

func TestEnd(t *testing.T) {
	j := Job{Server: deployed(t), Image: "memcached:1", Name: "load", Count: 3, Place: Anywhere}
	failed := "1"
	for name, test := range map[string]struct {
		status func(*batchv1.JobStatus)
		lost   []string
		want   string // of the error; empty: none
	}{
		"all succeeded":     {func(s *batchv1.JobStatus) { s.Succeeded = 3 }, nil, ""},
		"one failed":        {func(s *batchv1.JobStatus) { s.Succeeded, s.Failed, s.FailedIndexes = 2, 1, &failed }, nil, "1 load clients of Job n/load failed, index 1"},
		"one lost before":   {func(s *batchv1.JobStatus) { s.Succeeded, s.Failed, s.FailedIndexes = 2, 1, &failed }, []string{"pod load-1 was lost"}, ""},
		"one does not end":  {func(s *batchv1.JobStatus) { s.Succeeded, s.Active = 2, 1 }, nil, "last seen 2 succeeded, 0 failed, 1 active"},
		"there is no such":  {nil, nil, "not found"},
		"none has begun":    {func(*batchv1.JobStatus) {}, nil, "last seen 0 succeeded"},
		"failed, not which": {func(s *batchv1.JobStatus) { s.Failed = 3 }, nil, "3 load clients of Job n/load failed"},
	} {
		var objects []runtime.Object
		if test.status != nil {
			objects = append(objects, jobObject(j, test.status))
		}
		c := &Clients{lost: test.lost, waiter: wait.Waiter{Interval: time.Millisecond, Limits: map[wait.Name]time.Duration{wait.LoadGone: 20 * time.Millisecond}}}
		err := c.End(t.Context(), clusterOf(objects...), j)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestStartThatCannotBegin(t *testing.T) {
	w := wait.Waiter{Interval: time.Millisecond, Limits: map[wait.Name]time.Duration{wait.PodRuns: 20 * time.Millisecond, wait.LoadGone: time.Second}}
	j := Job{Server: deployed(t), Image: "memcached:1", Name: "load", Count: 2, Place: Anywhere}
	var l ledger.Ledger
	c := clusterOf()
	if _, err := Start(t.Context(), c, w, &l, j); err == nil || !strings.Contains(err.Error(), "last seen 0 of 2 pods were made") {
		t.Errorf("no pods: %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if jobs, err := c.Client.BatchV1().Jobs("n").List(t.Context(), metav1.ListOptions{}); err != nil || len(jobs.Items) != 0 {
		t.Errorf("%v: the Job is left: %d", err, len(jobs.Items))
	}
	if _, err := Start(t.Context(), clusterOf(jobObject(j, func(*batchv1.JobStatus) {})), w, &l, j); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("somebody else's Job: %v", err)
	}
}

func TestPrograms(t *testing.T) {
	j := Job{Program: filepath.Join(t.TempDir(), "load")}
	node := func(name, arch string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{Architecture: arch}}}
	}
	on := func(nodes ...string) (pods []corev1.Pod) {
		for _, n := range nodes {
			pods = append(pods, corev1.Pod{Spec: corev1.PodSpec{NodeName: n}})
		}
		return pods
	}
	c := clusterOf(node("a", "amd64"), node("b", "arm64"), node("c", "riscv64"))
	for arch, text := range map[string]string{"amd64": "for amd64", "arm64": "for arm"} {
		if err := os.WriteFile(j.Program+"-"+arch, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got, err := j.programs(t.Context(), c, on("a", "b", "a"))
	if err != nil || string(got["a"]) != "9\nfor amd64" || string(got["b"]) != "7\nfor arm" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := j.programs(t.Context(), c, on("a", "c")); err == nil || !strings.Contains(err.Error(), "load-riscv64") {
		t.Errorf("a node without a client: %v", err)
	}
	if _, err := j.programs(t.Context(), c, on("d")); err == nil || !strings.Contains(err.Error(), "architecture of node d") {
		t.Errorf("an unknown node: %v", err)
	}
}

// TestContainerBecomesProgram runs the container's command on this machine.
func TestContainerBecomesProgram(t *testing.T) {
	const program = "#!/bin/sh\nread order && echo got $order\n"
	command := Job{Server: deployed(t), Count: 1}.object().Spec.Template.Spec.Containers[0].Command
	command[len(command)-1] = filepath.Join(t.TempDir(), "load")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("%d\n%sthe order\n", len(program), program))
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "got the order\n" {
		t.Errorf("%q, %v", out, err)
	}
}
