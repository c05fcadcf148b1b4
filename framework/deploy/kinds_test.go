package deploy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// unreachable is a mapper that has lost its API server.
type unreachable struct{ meta.RESTMapper }

func (unreachable) RESTMapping(schema.GroupKind, ...string) (*meta.RESTMapping, error) {
	return nil, errors.New("connection refused")
}

func TestServed(t *testing.T) {
	object := func(version, kind, name string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}}
	}
	deployment := object("apps/v1", "Deployment", "cache", nil)
	monitor := object("monitoring.coreos.com/v1", "ServiceMonitor", "cache", nil)
	definition := func(group string) *unstructured.Unstructured {
		return object("apiextensions.k8s.io/v1", definitionKind, "servicemonitors."+group, map[string]any{"group": group, "names": map[string]any{"kind": "ServiceMonitor"}})
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, o := range []*unstructured.Unstructured{deployment, definition("any")} {
		mapper.Add(o.GroupVersionKind(), meta.RESTScopeRoot)
	}
	for _, test := range []struct {
		name    string
		objects []*unstructured.Unstructured
		mapper  meta.RESTMapper
		want    string
	}{
		{"kinds of Kubernetes", []*unstructured.Unstructured{deployment}, mapper, ""},
		{"a kind that nobody defines", []*unstructured.Unstructured{deployment, monitor}, mapper, "does not serve the kind of ServiceMonitor/cache of monitoring.coreos.com/v1; install its CustomResourceDefinition"},
		{"an old version", []*unstructured.Unstructured{object("apps/v1beta1", "Deployment", "old", nil)}, mapper, "Deployment/old of apps/v1beta1"},
		{"a kind that the kustomization defines", []*unstructured.Unstructured{monitor, definition("monitoring.coreos.com")}, mapper, ""},
		{"a kind of that name in another group", []*unstructured.Unstructured{monitor, definition("other.example")}, mapper, "ServiceMonitor/cache"},
		{"a cluster that does not answer", []*unstructured.Unstructured{monitor}, unreachable{}, ""},
	} {
		err := (&Manifest{Objects: test.objects}).Served(test.mapper)
		if got := fmt.Sprint(err); (err == nil) != (test.want == "") || err != nil && !strings.Contains(got, test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
