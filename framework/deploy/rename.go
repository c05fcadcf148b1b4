package deploy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fixedKinds are cluster-scoped kinds whose names mean something outside of the cluster, or follow from
// their content, so that an object cannot exist twice. Copies of a deployment share it.
var fixedKinds = []string{"CSIDriver", "CustomResourceDefinition", "APIService", "Namespace", "Node", "CSINode", "ClusterTrustBundle"}

// nameFields are fields that hold the name of a cluster-scoped object, by its kind. A reference of kind
// and name needs no entry.
var nameFields = map[string]string{
	"PriorityClass": "priorityClassName", "RuntimeClass": "runtimeClassName", "StorageClass": classField,
	"PersistentVolume": "volumeName", "IngressClass": "ingressClassName", "DeviceClass": "deviceClassName",
	"VolumeSnapshotClass": "volumeSnapshotClassName", "VolumeAttributesClass": "volumeAttributesClassName",
	"ValidatingAdmissionPolicy": "policyName", "MutatingAdmissionPolicy": "policyName",
}

const (
	classField        = "storageClassName"
	priorityClassKind = "PriorityClass"
)

// rename gives cluster-scoped objects names with suffix, so that several copies of a deployment, and what
// is on the cluster, do not collide, and changes all references among objects. A class that is the
// default of the cluster is not, as a copy: what relies on that gets its name instead.
func rename(objects []*unstructured.Unstructured, suffix string) []*unstructured.Unstructured {
	r := renaming{}
	for _, o := range objects {
		if namespaced(o) || slices.Contains(fixedKinds, o.GetKind()) {
			continue
		}
		if r[o.GetKind()] == nil {
			r[o.GetKind()] = map[string]string{}
		}
		now := o.GetName() + "-" + suffix
		r[o.GetKind()][o.GetName()] = now
		o.SetName(now)
		r.replaceDefault(o, objects)
	}
	if len(r) == 0 {
		return objects
	}
	for _, o := range objects {
		r.references(o.Object)
	}
	return objects
}

// renaming has the new names of objects by their kinds and old names.
type renaming map[string]map[string]string

func (r renaming) references(node any) {
	switch node := node.(type) {
	case map[string]any:
		kind, _ := node["kind"].(string)
		if name, ok := node["name"].(string); ok && node["metadata"] == nil {
			if now, ok := r[kind][name]; ok {
				node["name"] = now
			}
		}
		for kind, field := range nameFields {
			name, _ := node[field].(string)
			if now, ok := r[kind][name]; ok {
				node[field] = now
			}
		}
		if name, ok := node[corev1.BetaStorageClassAnnotation].(string); ok && r["StorageClass"][name] != "" {
			node[corev1.BetaStorageClassAnnotation] = r["StorageClass"][name]
		}
		for _, value := range node {
			r.references(value)
		}
	case []any:
		for _, item := range node {
			r.references(item)
		}
	}
}

// replaceDefault has pods and claims name a class that they would get as the default.
func (r renaming) replaceDefault(o *unstructured.Unstructured, objects []*unstructured.Unstructured) {
	switch {
	case o.GetKind() == priorityClassKind && o.Object["globalDefault"] == true:
		delete(o.Object, "globalDefault")
		for _, other := range objects {
			eachPodSpec(other.Object, func(pod map[string]any) {
				if pod["priorityClassName"] == nil {
					pod["priorityClassName"] = o.GetName()
				}
			})
		}
	case o.GetKind() == classKind && o.GetAnnotations()[defaultClass] == "true":
		annotations := o.GetAnnotations()
		delete(annotations, defaultClass)
		o.SetAnnotations(annotations)
		for _, other := range objects {
			eachClaimSpec(other.Object, func(claim map[string]any) {
				if _, written := claim[classField]; !written { // an empty name asks for no class
					claim[classField] = o.GetName()
				}
			})
		}
	}
}

// eachPodSpec calls do with every specification of a pod in node.
func eachPodSpec(node any, do func(map[string]any)) {
	each(node, func(m map[string]any) {
		if spec, ok := m["spec"].(map[string]any); ok && spec["containers"] != nil {
			do(spec)
		}
	})
}

// eachClaimSpec calls do with every specification of a claim in node.
func eachClaimSpec(node any, do func(map[string]any)) {
	each(node, func(m map[string]any) {
		spec, ok := m["spec"].(map[string]any)
		if !ok || spec["accessModes"] == nil {
			return
		}
		if resources, ok := spec["resources"].(map[string]any); ok && resources["requests"] != nil {
			do(spec)
		}
	})
}

// each calls do with every object in node.
func each(node any, do func(map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		do(node)
		for _, value := range node {
			each(value, do)
		}
	case []any:
		for _, item := range node {
			each(item, do)
		}
	}
}

// setNested sets a field below objects that may be missing.
func setNested(object map[string]any, value any, path ...string) error {
	return unstructured.SetNestedField(object, value, path...)
}
