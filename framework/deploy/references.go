package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	serviceAccountKind = "ServiceAccount"
	runtimeClassKind   = "RuntimeClass"
)

// A Reference is to an object without which the pods of a workload do not start.
type Reference struct {
	Kind, Name string
	As         string // what the object is to the pods
}

func (r Reference) String() string { return fmt.Sprintf("%s %s, %s", r.Kind, r.Name, r.As) }

// Claim reports whether the object is a persistent volume claim.
func (r Reference) Claim() bool { return r.Kind == claimKind }

// provided are objects that every cluster or namespace has.
var provided = []Reference{{Kind: configMapKind, Name: "kube-root-ca.crt"}, {Kind: serviceAccountKind, Name: "default"},
	{Kind: priorityClassKind, Name: "system-cluster-critical"}, {Kind: priorityClassKind, Name: "system-node-critical"}}

// Missing returns the objects that the pods refer to and the kustomization does not contain, in the order in
// which they are written, each once.
func (m *Manifest) Missing() []Reference {
	var missing []Reference
	need := func(kind, name, as string) {
		same := func(r Reference) bool { return r.Kind == kind && r.Name == name }
		if name == "" || slices.ContainsFunc(missing, same) || slices.ContainsFunc(provided, same) || m.contains(kind, name) {
			return
		}
		missing = append(missing, Reference{kind, name, as})
	}
	spec := m.template.Spec
	for _, v := range spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			need(claimKind, v.PersistentVolumeClaim.ClaimName, "which is volume "+v.Name)
		}
		for _, r := range volumeSources(v) {
			need(r.Kind, r.Name, r.As)
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, r := range variableSources(c) {
			need(r.Kind, r.Name, r.As)
		}
	}
	need(serviceAccountKind, spec.ServiceAccountName, "as which the pods run")
	need(priorityClassKind, spec.PriorityClassName, "which the pods have")
	if spec.RuntimeClassName != nil {
		need(runtimeClassKind, *spec.RuntimeClassName, "which the pods have")
	}
	return missing
}

func (m *Manifest) contains(kind, name string) bool {
	for _, o := range m.Objects {
		if o.GetKind() == kind && o.GetName() == name {
			return true
		}
	}
	return false
}

func needed(optional *bool) bool { return optional == nil || !*optional }

func volumeSources(v corev1.Volume) []Reference {
	var refs []Reference
	as := "which is mounted as volume " + v.Name
	if v.ConfigMap != nil && needed(v.ConfigMap.Optional) {
		refs = append(refs, Reference{configMapKind, v.ConfigMap.Name, as})
	}
	if v.Secret != nil && needed(v.Secret.Optional) {
		refs = append(refs, Reference{secretKind, v.Secret.SecretName, as})
	}
	if v.CSI != nil && v.CSI.NodePublishSecretRef != nil {
		refs = append(refs, Reference{secretKind, v.CSI.NodePublishSecretRef.Name, "with which volume " + v.Name + " is mounted"})
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil && needed(s.ConfigMap.Optional) {
				refs = append(refs, Reference{configMapKind, s.ConfigMap.Name, as})
			}
			if s.Secret != nil && needed(s.Secret.Optional) {
				refs = append(refs, Reference{secretKind, s.Secret.Name, as})
			}
		}
	}
	return refs
}

func variableSources(c corev1.Container) []Reference {
	var refs []Reference
	as := "which has variables of container " + c.Name
	for _, f := range c.EnvFrom {
		if f.ConfigMapRef != nil && needed(f.ConfigMapRef.Optional) {
			refs = append(refs, Reference{configMapKind, f.ConfigMapRef.Name, as})
		}
		if f.SecretRef != nil && needed(f.SecretRef.Optional) {
			refs = append(refs, Reference{secretKind, f.SecretRef.Name, as})
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil && needed(r.Optional) {
			refs = append(refs, Reference{configMapKind, r.Name, as})
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil && needed(r.Optional) {
			refs = append(refs, Reference{secretKind, r.Name, as})
		}
	}
	return refs
}

// Absent reports which of the references of m the pods will not find in a namespace of their own: claims, because
// each spec has its own, other objects of a namespace unless a controller puts them into most
// namespaces, and those of the cluster that it does not have. What cannot be seen is not reported.
func (m *Manifest) Absent(ctx context.Context, c client.Client) []Reference {
	var absent []Reference
	for _, r := range m.Missing() {
		gone := r.Kind == claimKind
		switch r.Kind {
		case configMapKind, secretKind, serviceAccountKind:
			gone = !everywhere(ctx, c, r)
		case priorityClassKind:
			gone = notFound(ctx, c, schema.GroupVersionKind{Group: "scheduling.k8s.io", Version: "v1", Kind: r.Kind}, r.Name)
		case runtimeClassKind:
			gone = notFound(ctx, c, schema.GroupVersionKind{Group: "node.k8s.io", Version: "v1", Kind: r.Kind}, r.Name)
		}
		if gone {
			absent = append(absent, r)
		}
	}
	return absent
}

func notFound(ctx context.Context, c client.Client, kind schema.GroupVersionKind, name string) bool {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(kind)
	return apierrors.IsNotFound(c.Get(ctx, client.ObjectKey{Name: name}, o))
}

// everywhere reports whether more than half of the cluster's namespaces have an object, or that cannot be seen.
func everywhere(ctx context.Context, c client.Client, r Reference) bool {
	count := func(kind string, options ...client.ListOption) (n int, ok bool) {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind + "List"})
		if err := c.List(ctx, list, options...); err != nil {
			return 0, false
		}
		return len(list.Items), true
	}
	having, seen := count(r.Kind, client.MatchingFields{"metadata.name": r.Name})
	all, listed := count("Namespace")
	return !seen || !listed || having > all/2
}

// AbsenceError is about objects that a deployment needs and nobody provides.
type AbsenceError struct {
	Manifest *Manifest
	Absent   []Reference
}

func (e *AbsenceError) Error() string {
	var names []string
	for _, r := range e.Absent {
		names = append(names, r.String())
	}
	return fmt.Sprintf("%s/%s needs %s: neither the kustomization nor the cluster has it, and each spec deploys into a namespace of its own; add it to the kustomization",
		e.Manifest.Kind, e.Manifest.Name, strings.Join(names, "; "))
}
