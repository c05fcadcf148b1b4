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
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"pmem-memcached-e2e/framework/redact"
)

const (
	// Container is the name of the container that makes a workload the deployment under test.
	Container = "memcached"

	defaultNamespace = "default"
	defaultPort      = 11211 // memcached's registered port
	servicePortName  = "db"  // the name in PMEM-CSI's documented example

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

	MemoryLimit resource.Quantity // of every container, which requests as much; 0: as written
}

// An InlineChange is what else an inline volume asks its driver for.
type InlineChange struct {
	Driver     string            // empty: as written
	FSType     string            // empty: as written
	Attributes map[string]string // added to those that are written, or replacing them; empty values are removed
}

// A Manifest is a rendered kustomization with exactly one workload and one Service of memcached.
type Manifest struct {
	Dir         string
	Namespace   string
	Objects     []*unstructured.Unstructured // in the order in which they are to be created
	Kind, Name  string                       // of the workload: a Deployment or a StatefulSet
	Service     string
	ServicePort int

	replicas int32
	selector labels.Selector
	strategy appsv1.StatefulSetUpdateStrategyType // empty for a Deployment
	template corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim // claim templates
}

// Load renders the kustomization in dir and finds memcached in it: the only Deployment or
// StatefulSet with a container named memcached, and the only Service whose selector matches its
// pods. Objects without a namespace go to the one in ch, or to the workload's, or to default.
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
	m := &Manifest{Dir: dir, Objects: objects}
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
	if ch.Namespace != "" {
		m.Namespace = ch.Namespace
		m.Objects = moveTo(m.Objects, ch.Namespace)
	} else {
		fillNamespace(m.Objects, m.Namespace)
	}
	if err := m.findService(); err != nil {
		return nil, err
	}
	return m, nil
}

// LearnSecrets lets secrets learn those of the manifest.
func (m *Manifest) LearnSecrets(secrets *redact.Redactor) {
	objects := make([]map[string]any, len(m.Objects))
	for i, o := range m.Objects {
		objects[i] = o.Object
	}
	secrets.LearnObjects(objects...)
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
		if m.strategy == "" {
			m.strategy = appsv1.RollingUpdateStatefulSetStrategyType
		}
	}
	if selector == nil {
		return errors.New("spec.selector is missing")
	}
	var err error
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

func (m *Manifest) findService() error {
	var found []string
	for _, o := range m.Objects {
		if gk := o.GroupVersionKind().GroupKind(); gk.Group != "" || gk.Kind != "Service" || o.GetNamespace() != m.Namespace {
			continue
		}
		var s corev1.Service
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &s); err != nil {
			return fmt.Errorf("service %s: %w", o.GetName(), err)
		}
		if len(s.Spec.Selector) == 0 || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(m.template.Labels)) {
			continue
		}
		found = append(found, s.Name)
		port, err := m.choosePort(s.Spec.Ports)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		m.Service, m.ServicePort = s.Name, port
	}
	switch len(found) {
	case 1:
		return nil
	case 0:
		return fmt.Errorf("no Service selects the pods of %s/%s, labels %s; add one", m.Kind, m.Name, labels.Set(m.template.Labels))
	}
	return fmt.Errorf("more than one Service selects the pods of %s/%s: %s; keep one", m.Kind, m.Name, strings.Join(found, ", "))
}

// choosePort prefers the port named db, then one that leads to a declared port of the memcached
// container, then memcached's registered port.
func (m *Manifest) choosePort(ports []corev1.ServicePort) (int, error) {
	if len(ports) == 1 {
		return int(ports[0].Port), nil
	}
	for _, prefer := range []func(corev1.ServicePort) bool{
		func(p corev1.ServicePort) bool { return p.Name == servicePortName },
		m.leadsToMemcached,
		func(p corev1.ServicePort) bool { return p.Port == defaultPort },
	} {
		for _, p := range ports {
			if prefer(p) {
				return int(p.Port), nil
			}
		}
	}
	var have []string
	for _, p := range ports {
		have = append(have, strings.TrimSpace(fmt.Sprintf("%d %s", p.Port, p.Name)))
	}
	return 0, fmt.Errorf("cannot tell memcached's port among %q; name it %q or let its targetPort be a port of the container %q", have, servicePortName, Container)
}

func (m *Manifest) leadsToMemcached(p corev1.ServicePort) bool {
	target := p.TargetPort
	if target.Type == intstr.Int && target.IntVal == 0 {
		target = intstr.FromInt32(p.Port)
	}
	for _, c := range MemcachedContainer(m.template.Spec).Ports {
		if target.Type == intstr.String && c.Name == target.StrVal || target.Type == intstr.Int && c.ContainerPort == target.IntVal {
			return true
		}
	}
	return false
}
