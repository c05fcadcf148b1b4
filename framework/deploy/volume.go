package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// A VolumeSource says by which way a pod gets its volume.
type VolumeSource string

const (
	Inline        VolumeSource = "CSI ephemeral inline volume"
	Ephemeral     VolumeSource = "generic ephemeral volume"
	ClaimTemplate VolumeSource = "claim template of the StatefulSet"
	Claim         VolumeSource = "persistent volume claim"
)

// A Volume is what the manifest requests for memcached's data.
type Volume struct {
	Name      string // of the volume in the pod
	MountPath string // in the container memcached
	Source    VolumeSource
	Size      resource.Quantity // zero if the manifest does not state it
	Class     string            // storage class; empty for Inline, or when the claim leaves it to the default
	Driver    string            // CSI driver; empty unless Inline
	FSType    string            // requested filesystem of an Inline volume; empty means the driver's default
	Claim     string            // the claim's name, for Claim; the template's name for ClaimTemplate
}

// sizeAttribute is the volume attribute of PMEM-CSI inline volumes that holds the size,
// PMEM-CSI documentation, "Ephemeral inline volumes".
const sizeAttribute = "size"

// Volume returns the volume that holds the memory file: the one mounted into the container
// memcached which is a CSI volume, an ephemeral volume or a claim. When there are several, it is
// the one whose mount path occurs in the container's command, arguments or environment, or else in the
// files that it mounts from ConfigMaps.
func (m *Manifest) Volume() (Volume, error) {
	var found []Volume
	c := MemcachedContainer(m.template.Spec)
	for _, mount := range c.VolumeMounts {
		v, ok, err := m.volume(mount.Name)
		if err != nil {
			return Volume{}, fmt.Errorf("%s/%s: volume %s: %w", m.Kind, m.Name, mount.Name, err)
		}
		if ok {
			v.MountPath = mount.MountPath
			found = append(found, v)
		}
	}
	for _, texts := range [][]string{m.words(c), m.files(c)} {
		if len(found) < 2 {
			break
		}
		var used []Volume
		for _, v := range found {
			if mentions(texts, v.MountPath) {
				used = append(used, v)
			}
		}
		if len(used) > 0 {
			found = used
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Volume{}, fmt.Errorf("%s/%s: the container %s mounts no CSI volume, ephemeral volume or claim", m.Kind, m.Name, Container)
	}
	var names []string
	for _, v := range found {
		names = append(names, v.Name+" at "+v.MountPath)
	}
	return Volume{}, fmt.Errorf("%s/%s: cannot tell which volume holds the memory file: %s", m.Kind, m.Name, strings.Join(names, ", "))
}

func (m *Manifest) volume(name string) (Volume, bool, error) {
	for _, claim := range m.claims {
		if claim.Name == name {
			return fromClaim(Volume{Name: name, Source: ClaimTemplate, Claim: name}, claim.Spec), true, nil
		}
	}
	for _, v := range m.template.Spec.Volumes {
		if v.Name != name {
			continue
		}
		switch {
		case v.CSI != nil:
			result := Volume{Name: name, Source: Inline, Driver: v.CSI.Driver}
			if v.CSI.FSType != nil {
				result.FSType = *v.CSI.FSType
			}
			if text := v.CSI.VolumeAttributes[sizeAttribute]; text != "" {
				size, err := resource.ParseQuantity(text)
				if err != nil {
					return Volume{}, false, fmt.Errorf("volumeAttributes.%s: %q: %w", sizeAttribute, text, err)
				}
				result.Size = size
			}
			return result, true, nil
		case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
			return fromClaim(Volume{Name: name, Source: Ephemeral}, v.Ephemeral.VolumeClaimTemplate.Spec), true, nil
		case v.PersistentVolumeClaim != nil:
			result := Volume{Name: name, Source: Claim, Claim: v.PersistentVolumeClaim.ClaimName}
			spec, err := m.claimSpec(result.Claim)
			if err != nil {
				return Volume{}, false, err
			}
			return fromClaim(result, spec), true, nil
		}
	}
	return Volume{}, false, nil
}

func fromClaim(v Volume, spec corev1.PersistentVolumeClaimSpec) Volume {
	v.Size = spec.Resources.Requests[corev1.ResourceStorage]
	if spec.StorageClassName != nil {
		v.Class = *spec.StorageClassName
	}
	return v
}

// claimSpec returns the spec of a claim of the manifest, or an empty one if it is not part of it.
func (m *Manifest) claimSpec(name string) (corev1.PersistentVolumeClaimSpec, error) {
	for _, o := range m.Objects {
		if o.GetKind() != claimKind || o.GetName() != name {
			continue
		}
		var claim corev1.PersistentVolumeClaim
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &claim); err != nil {
			return corev1.PersistentVolumeClaimSpec{}, fmt.Errorf("PersistentVolumeClaim/%s: %w", name, err)
		}
		return claim.Spec, nil
	}
	return corev1.PersistentVolumeClaimSpec{}, nil
}

// words are the command, the arguments and the variables of the container memcached.
func (m *Manifest) words(c corev1.Container) []string {
	texts := slices.Concat(c.Command, c.Args)
	for _, env := range c.Env {
		v, _ := m.variable(env)
		texts = append(texts, v.Value)
	}
	for _, source := range c.EnvFrom {
		if source.ConfigMapRef != nil {
			texts = append(texts, m.contents(source.ConfigMapRef.Name)...)
		}
	}
	return texts
}

// files are the contents of the ConfigMaps that the container memcached mounts.
func (m *Manifest) files(c corev1.Container) []string {
	var texts []string
	for _, mount := range c.VolumeMounts {
		for _, v := range m.template.Spec.Volumes {
			if v.Name == mount.Name && v.ConfigMap != nil {
				texts = append(texts, m.contents(v.ConfigMap.Name)...)
			}
		}
	}
	return texts
}

func (m *Manifest) contents(configMap string) []string {
	for _, o := range m.Objects {
		if o.GetKind() == configMapKind && o.GetName() == configMap {
			data, _, _ := unstructured.NestedStringMap(o.Object, "data")
			return slices.Collect(maps.Values(data))
		}
	}
	return nil
}

func mentions(texts []string, path string) bool {
	prefix := strings.TrimSuffix(path, "/") + "/"
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, prefix) })
}

// Image returns the image of the container memcached.
func (m *Manifest) Image() string { return MemcachedContainer(m.template.Spec).Image }

// Replicas returns the number of replicas that the manifest asks for.
func (m *Manifest) Replicas() int32 { return m.replicas }

// FirstOrdinal is the number of the first pod of a StatefulSet.
func (m *Manifest) FirstOrdinal() int32 { return m.ordinal }

// MatchLabels returns the labels by which the workload selects its pods, and which the claims of a StatefulSet get.
func (m *Manifest) MatchLabels() map[string]string { return m.matchLabels }

// Template returns the pod template of the workload.
func (m *Manifest) Template() corev1.PodTemplateSpec { return *m.template.DeepCopy() }
