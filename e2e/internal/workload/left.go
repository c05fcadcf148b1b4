package workload

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
)

// leftKinds are the kinds of which nothing may be left.
var leftKinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Service"}, {Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "Pod"}, {Version: "v1", Kind: "PersistentVolumeClaim"},
	{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}, {Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
}

// Left lists what is left in the namespace of a deployment of what was applied and of what controllers have made
// for that. Other objects, which controllers of the cluster put into every namespace, do not count.
func Left(ctx context.Context, e *framework.Env, d *deploy.Deployment) ([]string, error) {
	var all []unstructured.Unstructured
	for _, kind := range leftKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := e.Cluster.Resources.GetControllerRuntimeClient().List(ctx, list, client.InNamespace(d.Namespace)); err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
	}
	pods, err := d.Pods(ctx) // whose owner may be gone before them
	if err != nil {
		return nil, err
	}
	left := offspring(d.Objects, all)
	for i := range pods {
		if name := framework.Name("Pod", &pods[i]); !slices.Contains(left, name) {
			left = append(left, name)
		}
	}
	return left, nil
}

// offspring lists which of all are among applied, or belong to one of those or to another one that does.
func offspring(applied []*unstructured.Unstructured, all []unstructured.Unstructured) []string {
	type key struct{ kind, name string }
	ours := map[key]bool{}
	for _, o := range applied {
		ours[key{o.GetKind(), o.GetName()}] = true
	}
	var left []string
	for grows := true; grows; {
		grows = false
		for i := range all {
			o := &all[i]
			name, is := framework.Name(o.GetKind(), o), ours[key{o.GetKind(), o.GetName()}]
			for _, owner := range o.GetOwnerReferences() {
				is = is || ours[key{owner.Kind, owner.Name}]
			}
			if is && !slices.Contains(left, name) {
				left = append(left, name)
				ours[key{o.GetKind(), o.GetName()}] = true
				grows = true
			}
		}
	}
	return left
}
