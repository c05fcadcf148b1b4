package facts

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"pmem-memcached-e2e/framework/deploy"
)

const commandLimit = 300 // of a command in a fact, in bytes

func decode[T any](o *unstructured.Unstructured) (T, error) {
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &typed); err != nil {
		return typed, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return typed, nil
}

// deployment reports what a manifest requests, with the image that the specs
// will run.
func (p *prober) deployment(m Deployment) {
	group := "deployment " + m.Title
	from := fmt.Sprintf("%s/%s of that kustomization", m.Kind, m.Name)
	p.add(group, "workload", m.Kind, from)
	p.add(group, "image", m.Image(), from)
	if v, err := m.Volume(); err != nil {
		p.unread(group, "volume", err)
	} else {
		p.add(group, "volume", describeVolume(v), from)
	}
	if command := command(m.Manifest); command != "" {
		p.add(group, "command", words(command, commandLimit), from)
	}
	p.add(group, "arguments for memcached", words(m.MemcachedArgs(), commandLimit), "MEMCACHED_ARGS in "+from)
}

func describeVolume(v deploy.Volume) string {
	words := []string{string(v.Source)}
	if !v.Size.IsZero() {
		words = append(words, v.Size.String())
	}
	for _, w := range []struct{ name, value string }{{"driver", v.Driver}, {"class", v.Class}, {"", v.FSType}} {
		if w.value != "" {
			words = append(words, strings.TrimSpace(w.name+" "+w.value))
		}
	}
	return strings.Join(words, ", ")
}

// command is what the container memcached runs.
func command(m *deploy.Manifest) string {
	for _, o := range m.Objects {
		if o.GetKind() != m.Kind || o.GetName() != m.Name {
			continue
		}
		workload, err := decode[struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}](o)
		if err != nil {
			return ""
		}
		for _, c := range workload.Spec.Template.Spec.Containers {
			if c.Name == deploy.Container {
				return strings.Join(append(c.Command, c.Args...), " ")
			}
		}
	}
	return ""
}
