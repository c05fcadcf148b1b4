package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/ledger"
)

const (
	owner  = "pmem-memcached-e2e" // in labels whose keys select the deployment's pods
	nobody = 65534                // user id
)

// Companion is a pod of the suite's own that runs where the pods of the deployment may run, and is admitted where
// they are: it has their node selector, tolerations, priority, runtime class, scheduler, service account,
// secrets for images, user, annotations and labels, as far as no selector of the deployment matches them. It fits
// the level restricted of the Pod Security Standards. Its containers have no token of the API, are not
// started again, and state requests and limits, so that a quota admits them. The caller
// adds volumes.
func (m *Manifest) Companion(prefix string, containers ...corev1.Container) *corev1.Pod {
	from := m.template.Spec
	id := m.user()
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: ptr.To(false), EnableServiceLinks: ptr.To(false),
		NodeSelector: from.NodeSelector, Tolerations: from.Tolerations, SchedulerName: from.SchedulerName,
		PriorityClassName: from.PriorityClassName, PreemptionPolicy: from.PreemptionPolicy, RuntimeClassName: from.RuntimeClassName,
		ServiceAccountName: from.ServiceAccountName, ImagePullSecrets: from.ImagePullSecrets,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: &id, RunAsGroup: &id, FSGroup: &id,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	if from.SecurityContext != nil {
		spec.SecurityContext.SELinuxOptions = from.SecurityContext.SELinuxOptions
	}
	if a := from.Affinity; a != nil && a.NodeAffinity != nil { // the affinity to other pods is not for these
		spec.Affinity = &corev1.Affinity{NodeAffinity: a.NodeAffinity}
	}
	for _, c := range containers {
		c.SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		c.Resources = m.resources(c.Resources)
		spec.Containers = append(spec.Containers, c)
	}
	return (&corev1.Pod{ObjectMeta: m.companionMeta(prefix), Spec: spec}).DeepCopy()
}

func (m *Manifest) companionMeta(prefix string) metav1.ObjectMeta {
	return metav1.ObjectMeta{GenerateName: prefix, Namespace: m.Namespace, Labels: m.foreignLabels(), Annotations: m.template.Annotations}
}

// Stand is a pod like p, one of the deployment's: with its volumes, identity and place, but of its containers only those
// that are given, which do nothing but wait for commands. What a container gets about its pod, such as the name in the path
// of a mount, is that of p. No selector of the deployment matches it, and it may run next to p.
func (m *Manifest) Stand(p *corev1.Pod, prefix string, containers ...corev1.Container) *corev1.Pod {
	spec := p.Spec.DeepCopy()
	spec.InitContainers, spec.Containers, spec.EphemeralContainers, spec.NodeName = nil, nil, nil, ""
	spec.Hostname, spec.Subdomain, spec.TopologySpreadConstraints = "", "", nil
	if spec.Affinity != nil {
		spec.Affinity.PodAffinity, spec.Affinity.PodAntiAffinity = nil, nil
	}
	spec.RestartPolicy, spec.TerminationGracePeriodSeconds = corev1.RestartPolicyNever, ptr.To(int64(1))
	for _, c := range containers {
		c.Command, c.Args = []string{"sleep", "36000"}, nil
		c.StartupProbe, c.ReadinessProbe, c.LivenessProbe, c.Lifecycle, c.RestartPolicy = nil, nil, nil, nil, nil
		c.Env = slices.Clone(c.Env)
		for i, e := range c.Env {
			if value, ok := about(p, e); ok {
				c.Env[i] = corev1.EnvVar{Name: e.Name, Value: value}
			}
		}
		spec.Containers = append(spec.Containers, c)
	}
	return &corev1.Pod{ObjectMeta: m.companionMeta(prefix), Spec: *spec}
}

// about is the value of a variable that a container gets from the metadata of its pod.
func about(p *corev1.Pod, e corev1.EnvVar) (string, bool) {
	if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
		return "", false
	}
	field := e.ValueFrom.FieldRef.FieldPath
	key := func(prefix string) string {
		rest, _ := strings.CutPrefix(field, prefix+"['")
		return strings.TrimSuffix(rest, "']")
	}
	switch {
	case field == "metadata.name":
		return p.Name, true
	case strings.HasPrefix(field, "metadata.labels['"):
		return p.Labels[key("metadata.labels")], true
	case strings.HasPrefix(field, "metadata.annotations['"):
		return p.Annotations[key("metadata.annotations")], true
	}
	return "", false
}

// user is that of the container memcached if the manifest names one other than root.
func (m *Manifest) user() int64 {
	c := MemcachedContainer(m.template.Spec)
	switch pod := m.template.Spec.SecurityContext; {
	case c.SecurityContext != nil && ptr.Deref(c.SecurityContext.RunAsUser, 0) != 0:
		return *c.SecurityContext.RunAsUser
	case pod != nil && ptr.Deref(pod.RunAsUser, 0) != 0:
		return *pod.RunAsUser
	}
	return nobody
}

// What a container of the suite's own may take if it does not say so.
var (
	smallRequests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")}
	oneProcessor  = resource.MustParse("1")
	smallLimits   = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
)

// resources completes what a container states. One that states limits leaves that of processors open, unless
// the container memcached has one, as a quota may demand.
func (m *Manifest) resources(stated corev1.ResourceRequirements) corev1.ResourceRequirements {
	theirs := MemcachedContainer(m.template.Spec).Resources
	complete := corev1.ResourceRequirements{Requests: maps.Clone(smallRequests), Limits: maps.Clone(smallLimits)}
	if len(stated.Limits) > 0 {
		complete.Limits = corev1.ResourceList{}
		if limit, ok := theirs.Limits[corev1.ResourceCPU]; ok {
			if limit.Cmp(oneProcessor) < 0 {
				limit = oneProcessor
			}
			complete.Limits[corev1.ResourceCPU] = limit
		}
	}
	if q, ok := theirs.Requests[corev1.ResourceEphemeralStorage]; ok {
		complete.Requests[corev1.ResourceEphemeralStorage] = q
	}
	if q, ok := theirs.Limits[corev1.ResourceEphemeralStorage]; ok {
		complete.Limits[corev1.ResourceEphemeralStorage] = q
	}
	maps.Copy(complete.Requests, stated.Requests)
	maps.Copy(complete.Limits, stated.Limits)
	return complete
}

// selectors are those of the deployment by which an object finds its pods.
func (m *Manifest) selectors() []labels.Selector {
	selectors := []labels.Selector{m.selector}
	for _, o := range m.Objects {
		var selector labels.Selector
		switch o.GetKind() {
		case "Service":
			equal, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector")
			if len(equal) == 0 {
				continue
			}
			selector = labels.SelectorFromSet(equal)
		case "PodDisruptionBudget":
			budget, _ := budgetOf(o)
			s, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
			if err != nil || s.Empty() {
				continue
			}
			selector = s
		default:
			continue
		}
		selectors = append(selectors, selector)
	}
	return selectors
}

// foreignLabels are the labels of the deployment's pods, with other values where a selector of the
// deployment looks, so that policies find the keys that they demand.
func (m *Manifest) foreignLabels() map[string]string {
	selectors := m.selectors()
	own := maps.Clone(m.template.Labels)
	for _, s := range selectors {
		requirements, _ := s.Requirements()
		for _, r := range requirements {
			if _, ok := own[r.Key()]; ok {
				own[r.Key()] = owner
			}
		}
	}
	for _, s := range selectors {
		requirements, _ := s.Requirements()
		for _, r := range requirements {
			if s.Matches(labels.Set(own)) { // by the mere presence of a key
				delete(own, r.Key())
			}
		}
	}
	return own
}

// Prerequisites are the objects of the kustomization without which its pods, and their companions, are not
// admitted or get no image: classes of the cluster, the service account, and the secrets for images.
func (m *Manifest) Prerequisites() []*unstructured.Unstructured {
	spec := m.template.Spec
	pull := spec.ImagePullSecrets
	account := spec.ServiceAccountName
	if account == "" {
		account = defaultAccount
	}
	var found []*unstructured.Unstructured
	for _, o := range m.Objects {
		if o.GetKind() == serviceAccountKind && o.GetName() == account {
			var a corev1.ServiceAccount
			if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &a) == nil {
				pull = append(slices.Clone(pull), a.ImagePullSecrets...)
			}
			found = append(found, o)
		}
	}
	for _, o := range m.Objects {
		name := o.GetName()
		switch o.GetKind() {
		case priorityClassKind:
			if name != spec.PriorityClassName {
				continue
			}
		case runtimeClassKind:
			if name != ptr.Deref(spec.RuntimeClassName, "") {
				continue
			}
		case secretKind:
			if !slices.ContainsFunc(pull, func(r corev1.LocalObjectReference) bool { return r.Name == name }) {
				continue
			}
		default:
			continue
		}
		found = append(found, o)
	}
	return found
}

const defaultAccount = "default"

// Prepare creates the prerequisites of companions in a namespace without the deployment, and registers
// their removal in l. Those that are there already stay as they are.
func (m *Manifest) Prepare(ctx context.Context, c *cluster.Cluster, l *ledger.Ledger) error {
	d := &Deployment{Manifest: m, cluster: c}
	for _, o := range m.Prerequisites() {
		n := len(d.created)
		if err := d.create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %s: %w", title(o), err)
		}
		for _, made := range d.created[n:] {
			l.Add(title(made), func(ctx context.Context) error { return d.delete(ctx, made) })
		}
	}
	return nil
}

// adopt merges what the kustomization writes into an object that the cluster itself has made, as kubectl
// apply does: the default service account. Objects that exist once for the whole cluster, such as the
// definition of a resource, are shared.
func (d *Deployment) adopt(ctx context.Context, o *unstructured.Unstructured) (adopted bool, err error) {
	if slices.Contains(fixedKinds, o.GetKind()) {
		return true, nil
	}
	if o.GetKind() != serviceAccountKind || o.GetName() != defaultAccount {
		return false, nil
	}
	api := d.cluster.Resources.GetControllerRuntimeClient()
	current, written := &corev1.ServiceAccount{}, &corev1.ServiceAccount{}
	if err := api.Get(ctx, client.ObjectKeyFromObject(o), current); err != nil {
		return false, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, written); err != nil {
		return false, fmt.Errorf("reading it: %w", err)
	}
	before := current.DeepCopy()
	for _, secret := range written.ImagePullSecrets {
		if !slices.Contains(current.ImagePullSecrets, secret) {
			current.ImagePullSecrets = append(current.ImagePullSecrets, secret)
		}
	}
	if written.AutomountServiceAccountToken != nil {
		current.AutomountServiceAccountToken = written.AutomountServiceAccountToken
	}
	return true, api.Patch(ctx, current, client.MergeFrom(before))
}
