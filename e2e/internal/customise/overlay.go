// Package customise writes overlays of the deployment under test, as a user of
// kustomize would, and renders them.
package customise

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework/deploy"
)

// An Overlay is what a kustomization changes of its base. Fields that are zero
// change nothing.
type Overlay struct {
	Namespace string
	Prefix    string            // of all names
	Labels    map[string]string // of all objects, selectors and templates
	Args      []string          // of memcached, after those of the base; each is one argument
	Size      resource.Quantity // of the volume that holds the memory file
	Driver    string            // of an inline volume
	Class     string            // storage class of a claim
	Image     string            // repository and tag in place of memcached's image
}

// A target selects what a patch changes.
type target struct {
	Group   string `json:"group,omitempty"`
	Version string `json:"version,omitempty"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
}

type patch struct {
	Target *target `json:"target,omitempty"`
	Patch  string  `json:"patch"`
}

type labels struct {
	Pairs            map[string]string `json:"pairs"`
	IncludeSelectors bool              `json:"includeSelectors"`
	IncludeTemplates bool              `json:"includeTemplates"`
}

type image struct {
	Name    string `json:"name"`
	NewName string `json:"newName"`
	NewTag  string `json:"newTag"`
}

// kustomization has the fields of the current form and of the deprecated one.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace,omitempty"`
	NamePrefix string   `json:"namePrefix,omitempty"`
	Resources  []string `json:"resources,omitempty"`
	Labels     []labels `json:"labels,omitempty"`
	Images     []image  `json:"images,omitempty"`
	Patches    []patch  `json:"patches,omitempty"`

	Bases                 []string `json:"bases,omitempty"`
	PatchesStrategicMerge []string `json:"patchesStrategicMerge,omitempty"`
	PatchesJSON6902       []patch  `json:"patchesJson6902,omitempty"`
}

// Form is that of a kustomization file.
type Form string

const (
	Current    Form = "current"    // resources, patches
	Deprecated Form = "deprecated" // bases, patchesStrategicMerge, patchesJson6902: before kustomize 5
)

// Kustomization is a file in a directory from which base is the relative path to
// the kustomization that was rendered as m.
func (o Overlay) Kustomization(base string, m *deploy.Manifest, form Form) ([]byte, error) {
	merge, edits, err := o.patches(m)
	if err != nil {
		return nil, err
	}
	k := kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization",
		Namespace: o.Namespace, NamePrefix: o.Prefix,
	}
	if len(o.Labels) > 0 {
		k.Labels = []labels{{o.Labels, true, true}}
	}
	if o.Image != "" {
		name, tag, _ := strings.Cut(o.Image, ":")
		k.Images = []image{{repository(m.Image()), name, tag}}
	}
	workload := target{Group: "apps", Version: "v1", Kind: m.Kind, Name: m.Name}
	if form == Deprecated {
		k.Bases = []string{base}
		if merge != nil {
			k.PatchesStrategicMerge = []string{string(marshal(identified(merge, m)))}
		}
		if edits != nil {
			k.PatchesJSON6902 = []patch{{&workload, string(marshal(edits))}}
		}
	} else {
		k.Resources = []string{base}
		if merge != nil {
			k.Patches = append(k.Patches, patch{&workload, string(marshal(identified(merge, m)))})
		}
		if edits != nil {
			k.Patches = append(k.Patches, patch{&workload, string(marshal(edits))})
		}
	}
	return append(marshal(k), '\n'), nil // JSON is YAML, too
}

// repository is an image without its tag and digest.
func repository(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

// marshal encodes what has no value that JSON lacks.
func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func identified(pod map[string]any, m *deploy.Manifest) map[string]any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": m.Kind,
		"metadata": map[string]any{"name": m.Name, "namespace": m.Namespace},
		"spec":     map[string]any{"template": map[string]any{"spec": pod}},
	}
}

type edit struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patches are a strategic merge patch of the pod, and a JSON patch of what such
// a patch would replace as a whole.
func (o Overlay) patches(m *deploy.Manifest) (map[string]any, []edit, error) {
	pod := map[string]any{}
	var edits []edit
	if len(o.Args) > 0 {
		if err := o.passArgs(m, pod, &edits); err != nil {
			return nil, nil, err
		}
	}
	if !o.Size.IsZero() || o.Driver != "" || o.Class != "" {
		if err := o.changeVolume(m, pod, &edits); err != nil {
			return nil, nil, err
		}
	}
	if len(pod) == 0 {
		pod = nil
	}
	return pod, edits, nil
}

// passArgs uses the variable MEMCACHED_ARGS, unless nothing in the manifest
// mentions it and memcached has a list of arguments.
func (o Overlay) passArgs(m *deploy.Manifest, pod map[string]any, edits *[]edit) error {
	i, c := m.Container()
	if _, has := m.Env(deploy.ArgsVariable); has || m.Mentions(deploy.ArgsVariable) {
		pod["containers"] = []any{map[string]any{"name": c.Name, "env": []any{
			map[string]any{"name": deploy.ArgsVariable, "value": join(m.MemcachedArgs(), o.Args), "valueFrom": nil},
		}}}
		return nil
	}
	field := "args"
	switch {
	case len(c.Args) > 0:
	case len(c.Command) == 0:
		*edits = append(*edits, edit{"add", fmt.Sprintf("/spec/template/spec/containers/%d/args", i), o.Args})
		return nil
	case strings.HasSuffix(c.Command[0], "memcached"):
		field = "command"
	default:
		return fmt.Errorf("%s %s takes arguments for memcached neither from %s nor as a list", m.Kind, m.Name, deploy.ArgsVariable)
	}
	for _, arg := range o.Args {
		*edits = append(*edits, edit{"add", fmt.Sprintf("/spec/template/spec/containers/%d/%s/-", i, field), arg})
	}
	return nil
}

// join quotes each of more that a shell would split.
func join(args string, more []string) string {
	words := []string{}
	if strings.TrimSpace(args) != "" {
		words = append(words, args)
	}
	for _, w := range more {
		if strings.ContainsAny(w, " \t") {
			w = `"` + w + `"`
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// changeVolume changes the volume where its size and class are written.
func (o Overlay) changeVolume(m *deploy.Manifest, pod map[string]any, edits *[]edit) error {
	v, err := m.Volume()
	if err != nil {
		return err
	}
	claim := map[string]any{}
	if !o.Size.IsZero() {
		claim["resources"] = map[string]any{"requests": map[string]any{string(corev1.ResourceStorage): o.Size.String()}}
	}
	if o.Class != "" {
		claim["storageClassName"] = o.Class
	}
	var volume map[string]any
	switch v.Source {
	case deploy.Inline:
		csi := map[string]any{}
		if !o.Size.IsZero() {
			csi["volumeAttributes"] = map[string]any{"size": o.Size.String()}
		}
		if o.Driver != "" {
			csi["driver"] = o.Driver
		}
		volume = map[string]any{"name": v.Name, "csi": csi}
	case deploy.Ephemeral:
		volume = map[string]any{"name": v.Name, "ephemeral": map[string]any{"volumeClaimTemplate": map[string]any{"spec": claim}}}
	case deploy.ClaimTemplate:
		i := slices.Index(m.ClaimTemplates(), v.Claim)
		at := fmt.Sprintf("/spec/volumeClaimTemplates/%d/spec/", i)
		if !o.Size.IsZero() {
			*edits = append(*edits, edit{"add", at + "resources/requests/storage", o.Size.String()})
		}
		if o.Class != "" {
			*edits = append(*edits, edit{"add", at + "storageClassName", o.Class})
		}
		return nil
	default:
		return errors.New("the size of a claim that pods share cannot be changed by a patch of the workload")
	}
	pod["volumes"] = []any{volume}
	return nil
}
