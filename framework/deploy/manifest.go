// Package deploy renders a kustomization with memcached in it, applies it, and follows it through
// readiness, scaling and removal.
package deploy

import (
	"errors"
	"fmt"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	// Container is the name of the container that makes a workload the deployment under test.
	Container = "memcached"

	defaultNamespace = "default"

	// outsideRoot precedes the file in kustomize's error about one that its load
	// restrictor refuses. The error has no type of its own.
	outsideRoot = ": security; "
)

// Changes are made to a kustomization after it was rendered. The zero value changes nothing.
type Changes struct {
	// LoadAnyFile lets the kustomization load files from outside of its directory,
	// which kubectl apply -k refuses by default.
	LoadAnyFile bool

	Namespace      string // every namespaced object moves here
	MemcachedImage string // replaces every image whose repository's last element is memcached

	VolumeSize     resource.Quantity // of the volume that holds the memory file; 0: as written
	VolumeInMemory bool              // it is an emptyDir in the node's memory, of the same size
	VolumeClass    string            // storage class of its claim; an inline volume becomes a generic ephemeral one
	Inline         InlineChange      // if it is an inline volume

	MemoryLimit resource.Quantity // of the container memcached, which requests as much; 0: as written

	// Replicas replaces the number of replicas, and leaves out what would set another number or keep a
	// single pod from being evicted; 0: as written.
	Replicas int32

	OneNode bool // all replicas are on one node, whatever spreads them as written
}

// An InlineChange is what else an inline volume asks its driver for.
type InlineChange struct {
	Driver     string            // empty: as written
	FSType     string            // empty: as written
	Attributes map[string]string // added to those that are written, or replacing them; empty values are removed
}

// A Manifest is a rendered kustomization with exactly one workload of memcached, and a Service for its clients.
type Manifest struct {
	Dir         string
	Namespace   string
	Objects     []*unstructured.Unstructured // in the order in which they are to be created
	Kind, Name  string                       // of the workload: a Deployment or a StatefulSet
	Service     string                       // for clients
	ServicePort int
	// Home has the labels and annotations of the Namespace object that the kustomization has for its
	// workload, for the namespaces that take its place.
	Home metav1.ObjectMeta
	// Adjusted reports how the objects differ from what is written for the sake of the suite.
	Adjusted []string

	source      string // the directory that was rendered
	changes     Changes
	replicas    int32
	ordinal     int32 // of a StatefulSet's first pod
	selector    labels.Selector
	matchLabels map[string]string                    // those of the selector
	strategy    appsv1.StatefulSetUpdateStrategyType // empty for a Deployment
	template    corev1.PodTemplateSpec
	claims      []corev1.PersistentVolumeClaim // claim templates
}

// Load renders the kustomization in dir and finds memcached in it: the only Deployment or
// StatefulSet with a container named memcached, and among the Services whose selectors match its
// pods the one for clients. Objects without a namespace go to the one in ch, or to the workload's, or to
// default. When ch has a namespace, cluster-scoped objects get names of their own, see [rename].
func Load(dir string, ch Changes) (*Manifest, error) {
	m, err := load(dir, ch)
	if err != nil {
		return nil, fmt.Errorf("kustomization %s: %w", dir, err)
	}
	return m, nil
}

func load(dir string, ch Changes) (*Manifest, error) {
	objects, err := render(dir, ch.LoadAnyFile)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Dir: dir, Objects: objects, source: dir, changes: ch}
	if ch.MemcachedImage != "" {
		for _, o := range m.Objects {
			replaceImages(o.Object, ch.MemcachedImage)
		}
	}
	if err := m.findWorkload(); err != nil {
		return nil, err
	}
	if err := m.changeVolume(ch); err != nil {
		return nil, err
	}
	if err := m.limitMemory(ch.MemoryLimit); err != nil {
		return nil, err
	}
	if err := m.setReplicas(ch.Replicas); err != nil {
		return nil, err
	}
	if ch.OneNode {
		if err := m.ontoOneNode(); err != nil {
			return nil, err
		}
	}
	m.Home = home(m.Objects, m.Namespace)
	if ch.Namespace != "" {
		m.Objects = rename(moveTo(m.Objects, ch.Namespace), ch.Namespace)
		if err := m.setWorkload(m.workload()); err != nil {
			return nil, err
		}
	} else {
		fillNamespace(m.Objects, m.Namespace)
	}
	if err := m.markPort(); err != nil {
		return nil, err
	}
	if err := m.findService(); err != nil {
		return nil, err
	}
	return m, nil
}

// In is the same kustomization with the same changes in another namespace.
func (m *Manifest) In(namespace string) (*Manifest, error) {
	ch := m.changes
	ch.Namespace = namespace
	again, err := Load(m.source, ch)
	if err != nil {
		return nil, err
	}
	again.Dir = m.Dir
	return again, nil
}

func render(dir string, anyFile bool) ([]*unstructured.Unstructured, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errors.New("not a directory; name the directory that holds kustomization.yaml")
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified         // what others refer to comes first
	options.LoadRestrictions = types.LoadRestrictionsRootOnly // as kubectl apply -k does
	if anyFile {
		options.LoadRestrictions = types.LoadRestrictionsNone
	}
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		if _, file, refused := strings.Cut(err.Error(), outsideRoot); refused {
			return nil, fmt.Errorf("does not render: %s; move the file there, or set LOAD_RESTRICTOR=%s", strings.TrimSpace(file), types.LoadRestrictionsNone)
		}
		return nil, fmt.Errorf("does not render: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, r := range resources.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.GetKind(), r.GetName(), err)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(text); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.GetKind(), r.GetName(), err)
		}
		objects = append(objects, o)
	}
	if len(objects) == 0 {
		return nil, errors.New("renders no objects")
	}
	return objects, nil
}

func (m *Manifest) findWorkload() error {
	var found, other []string
	for _, o := range m.Objects {
		if !hasContainer(o) {
			continue
		}
		name := o.GetKind() + "/" + o.GetName()
		kind := o.GroupVersionKind().GroupKind()
		if kind.Group != appsv1.GroupName || (kind.Kind != "Deployment" && kind.Kind != "StatefulSet") {
			other = append(other, name)
			continue
		}
		found = append(found, name)
		if err := m.setWorkload(o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	switch {
	case len(found) == 1 && len(other) == 0:
		return nil
	case len(found) == 0 && len(other) > 0:
		return fmt.Errorf("the container named %q is in %s; it has to be in a Deployment or a StatefulSet", Container, strings.Join(other, ", "))
	case len(found) == 0:
		return fmt.Errorf("no Deployment or StatefulSet has a container named %q; name memcached's container so", Container)
	}
	return fmt.Errorf("more than one workload has a container named %q: %s; keep one", Container, strings.Join(append(found, other...), ", "))
}

func hasContainer(o *unstructured.Unstructured) bool {
	for _, path := range [][]string{
		{"spec", "template", "spec", "containers"},
		{"spec", "jobTemplate", "spec", "template", "spec", "containers"},
		{"spec", "containers"},
	} {
		list, _, _ := unstructured.NestedSlice(o.Object, path...)
		for _, item := range list {
			if c, ok := item.(map[string]any); ok && c["name"] == Container {
				return true
			}
		}
	}
	return false
}

func (m *Manifest) setWorkload(o *unstructured.Unstructured) error {
	var replicas *int32
	var selector *metav1.LabelSelector
	switch o.GetKind() {
	case "Deployment":
		var d appsv1.Deployment
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
			return err
		}
		replicas, selector, m.template = d.Spec.Replicas, d.Spec.Selector, d.Spec.Template
	case "StatefulSet":
		var s appsv1.StatefulSet
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &s); err != nil {
			return err
		}
		replicas, selector, m.template = s.Spec.Replicas, s.Spec.Selector, s.Spec.Template
		m.claims, m.strategy = s.Spec.VolumeClaimTemplates, s.Spec.UpdateStrategy.Type
		if s.Spec.Ordinals != nil {
			m.ordinal = s.Spec.Ordinals.Start
		}
		if m.strategy == "" {
			m.strategy = appsv1.RollingUpdateStatefulSetStrategyType
		}
	}
	if selector == nil {
		return errors.New("spec.selector is missing")
	}
	var err error
	m.matchLabels = selector.MatchLabels
	if m.selector, err = metav1.LabelSelectorAsSelector(selector); err != nil {
		return fmt.Errorf("spec.selector: %w", err)
	}
	if !m.selector.Matches(labels.Set(m.template.Labels)) {
		return fmt.Errorf("spec.selector %s does not match the labels of spec.template %s", m.selector, labels.Set(m.template.Labels))
	}
	m.Kind, m.Name, m.Namespace = o.GetKind(), o.GetName(), o.GetNamespace()
	if m.Namespace == "" {
		m.Namespace = defaultNamespace
	}
	m.replicas = 1
	if replicas != nil {
		m.replicas = *replicas
	}
	return nil
}
