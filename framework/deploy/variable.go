package deploy

import (
	"encoding/base64"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ArgsVariable holds further arguments for memcached, PMEM-CSI examples/memcached.md.
const ArgsVariable = "MEMCACHED_ARGS"

const (
	configMapKind = "ConfigMap"
	secretKind    = "Secret"
)

// A Variable is one that the container memcached gets.
type Variable struct {
	Value string
	From  string // the ConfigMap or Secret that has it, as Kind/name; empty for a literal value
}

// Secret reports whether a Secret has the value.
func (v Variable) Secret() bool { return strings.HasPrefix(v.From, secretKind+"/") }

// Env returns a variable that the container memcached gets as a literal value, or from a ConfigMap or a
// Secret of the kustomization.
func (m *Manifest) Env(name string) (Variable, bool) {
	c := MemcachedContainer(m.template.Spec)
	if i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name }); i >= 0 {
		return m.variable(c.Env[i])
	}
	for _, source := range slices.Backward(c.EnvFrom) { // the last one counts
		key, ok := strings.CutPrefix(name, source.Prefix)
		if !ok {
			continue
		}
		kind, object := configMapKind, ""
		switch {
		case source.ConfigMapRef != nil:
			object = source.ConfigMapRef.Name
		case source.SecretRef != nil:
			kind, object = secretKind, source.SecretRef.Name
		}
		if v, ok := m.keyOf(kind, object, key); ok {
			return v, true
		}
	}
	return Variable{}, false
}

func (m *Manifest) variable(e corev1.EnvVar) (Variable, bool) {
	switch from := e.ValueFrom; {
	case from == nil:
		return Variable{Value: e.Value}, true
	case from.ConfigMapKeyRef != nil:
		return m.keyOf(configMapKind, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key)
	case from.SecretKeyRef != nil:
		return m.keyOf(secretKind, from.SecretKeyRef.Name, from.SecretKeyRef.Key)
	}
	return Variable{}, false
}

// keyOf reads a key of a ConfigMap or Secret of the kustomization.
func (m *Manifest) keyOf(kind, name, key string) (Variable, bool) {
	for _, o := range m.Objects {
		if o.GetKind() != kind || o.GetName() != name {
			continue
		}
		v := Variable{From: kind + "/" + name}
		if text, ok, _ := unstructured.NestedString(o.Object, "stringData", key); ok {
			v.Value = text
			return v, true
		}
		text, ok, _ := unstructured.NestedString(o.Object, "data", key)
		if ok && kind == secretKind {
			decoded, err := base64.StdEncoding.DecodeString(text)
			v.Value = string(decoded)
			return v, err == nil
		}
		v.Value = text
		return v, ok
	}
	return Variable{}, false
}

func (m *Manifest) value(name string) (string, bool) {
	v, ok := m.Env(name)
	return v.Value, ok
}

// MemcachedArgs returns the extra arguments for memcached, from the variable MEMCACHED_ARGS.
func (m *Manifest) MemcachedArgs() string {
	v, _ := m.Env(ArgsVariable)
	return v.Value
}
