package deploy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const definitionKind = "CustomResourceDefinition"

// UnknownKindsError is about objects of kinds that the cluster does not serve.
type UnknownKindsError struct {
	Objects []*unstructured.Unstructured
}

func (e *UnknownKindsError) Error() string {
	var names []string
	for _, o := range e.Objects {
		names = append(names, fmt.Sprintf("%s/%s of %s", o.GetKind(), o.GetName(), o.GetAPIVersion()))
	}
	return fmt.Sprintf("the cluster does not serve the kind of %s; install its CustomResourceDefinition, or leave the object out of the kustomization", strings.Join(names, ", "))
}

// Served returns an UnknownKindsError about the objects whose kind mapper does not know and that no
// CustomResourceDefinition of the kustomization defines. What mapper cannot look up is not reported.
func (m *Manifest) Served(mapper meta.RESTMapper) error {
	var unknown []*unstructured.Unstructured
	for _, o := range m.Objects {
		kind := o.GroupVersionKind()
		if _, err := mapper.RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) && !m.defines(kind) {
			unknown = append(unknown, o)
		}
	}
	if len(unknown) > 0 {
		return &UnknownKindsError{unknown}
	}
	return nil
}

func (m *Manifest) defines(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(m.Objects, func(o *unstructured.Unstructured) bool {
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		name, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		return o.GetKind() == definitionKind && group == kind.Group && name == kind.Kind
	})
}
