package workload

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func object(kind, name, ownerKind, owner string) unstructured.Unstructured {
	o := map[string]any{"kind": kind, "metadata": map[string]any{"name": name, "namespace": "n"}}
	if owner != "" {
		o["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"kind": ownerKind, "name": owner}}
	}
	return unstructured.Unstructured{Object: o}
}

func TestOffspring(t *testing.T) {
	deployment, service := object("Deployment", "cache", "", ""), object("Service", "cache", "", "")
	all := []unstructured.Unstructured{
		object("ConfigMap", "istio-ca-root-cert", "", ""),
		object("Pod", "cache-1-a", "ReplicaSet", "cache-1"),
		object("ReplicaSet", "cache-1", "Deployment", "cache"),
		object("EndpointSlice", "cache-x", "Service", "cache"),
		object("Secret", "pull", "Issuer", "of-the-cluster"),
		service,
	}
	got := offspring([]*unstructured.Unstructured{&deployment, &service}, all)
	slices.Sort(got)
	if want := []string{"EndpointSlice n/cache-x", "Pod n/cache-1-a", "ReplicaSet n/cache-1", "Service n/cache"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	if got := offspring([]*unstructured.Unstructured{&deployment}, all[:1]); len(got) > 0 {
		t.Errorf("%q, which the deployment did not make", got)
	}
}
