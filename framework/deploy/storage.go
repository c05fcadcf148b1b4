package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// changeVolume changes the volume of the memory file, or puts memory in its
// place.
func (m *Manifest) changeVolume(ch Changes) error {
	inline := ch.Inline.Driver != "" || ch.Inline.FSType != "" || len(ch.Inline.Attributes) > 0
	if ch.VolumeSize.IsZero() && !ch.VolumeInMemory && ch.VolumeClass == "" && !inline {
		return nil
	}
	v, err := m.Volume()
	if err != nil {
		return err
	}
	workload := m.workload()
	if inline {
		if err := changeInline(workload, v, ch.Inline); err != nil {
			return fmt.Errorf("volume %s: changing the inline volume: %w", v.Name, err)
		}
	}
	if !ch.VolumeSize.IsZero() {
		if err := m.resize(workload, v, ch.VolumeSize.String()); err != nil {
			return fmt.Errorf("volume %s: setting its size: %w", v.Name, err)
		}
		v.Size = ch.VolumeSize
	}
	if ch.VolumeClass != "" {
		if v, err = m.reclass(workload, v, ch.VolumeClass); err != nil {
			return fmt.Errorf("volume %s: setting its storage class: %w", v.Name, err)
		}
	}
	if ch.VolumeInMemory {
		if err := intoMemory(workload, v); err != nil {
			return fmt.Errorf("volume %s: putting memory in its place: %w", v.Name, err)
		}
		raised, err := addMemory(workload, v)
		if err != nil {
			return fmt.Errorf("volume %s: adding its size to the memory of containers: %w", v.Name, err)
		}
		if len(raised) > 0 {
			m.Adjusted = append(m.Adjusted, fmt.Sprintf("the volume is in memory, so that its %s are added to the memory of %s", v.Size.String(), strings.Join(raised, ", ")))
		}
		m.Objects = slices.DeleteFunc(m.Objects, func(o *unstructured.Unstructured) bool {
			return v.Source == Claim && o.GetKind() == claimKind && o.GetName() == v.Claim
		})
	}
	return m.setWorkload(workload)
}

func (m *Manifest) workload() *unstructured.Unstructured {
	for _, o := range m.Objects {
		if o.GetKind() == m.Kind && o.GetName() == m.Name && hasContainer(o) {
			return o
		}
	}
	return nil // not reached: findWorkload has found it
}

const claimKind = "PersistentVolumeClaim"

var (
	requestPath  = []string{"spec", "resources", "requests", string(corev1.ResourceStorage)}
	classPath    = []string{"spec", "storageClassName"}
	templatePath = []string{"ephemeral", "volumeClaimTemplate"}
)

func (m *Manifest) resize(workload *unstructured.Unstructured, v Volume, size string) error {
	if v.Source == Inline {
		return change(workload.Object, podVolumes, v.Name, func(volume map[string]any) error {
			return unstructured.SetNestedField(volume, size, "csi", "volumeAttributes", sizeAttribute)
		})
	}
	return m.changeClaim(workload, v, size, requestPath)
}

// reclass returns the volume as it is then.
func (m *Manifest) reclass(workload *unstructured.Unstructured, v Volume, class string) (Volume, error) {
	v.Class = class
	if v.Source != Inline {
		return v, m.changeClaim(workload, v, class, classPath)
	}
	if v.Size.IsZero() {
		return v, errors.New("the manifest does not state its size")
	}
	v.Source, v.Driver, v.FSType = Ephemeral, "", ""
	return v, change(workload.Object, podVolumes, v.Name, func(volume map[string]any) error {
		delete(volume, "csi")
		return unstructured.SetNestedMap(volume, map[string]any{
			"accessModes":      []any{string(corev1.ReadWriteOnce)},
			"storageClassName": class,
			"resources":        map[string]any{"requests": map[string]any{string(corev1.ResourceStorage): v.Size.String()}},
		}, slices.Concat(templatePath, []string{"spec"})...)
	})
}

// changeClaim sets a field of the claim behind a volume, wherever it is written.
func (m *Manifest) changeClaim(workload *unstructured.Unstructured, v Volume, value string, path []string) error {
	switch v.Source {
	case Ephemeral:
		return change(workload.Object, podVolumes, v.Name, func(volume map[string]any) error {
			return unstructured.SetNestedField(volume, value, slices.Concat(templatePath, path)...)
		})
	case ClaimTemplate:
		return change(workload.Object, claimTemplates, v.Name, func(claim map[string]any) error {
			return unstructured.SetNestedField(claim, value, path...)
		})
	}
	for _, o := range m.Objects {
		if o.GetKind() == claimKind && o.GetName() == v.Claim {
			return unstructured.SetNestedField(o.Object, value, path...)
		}
	}
	return fmt.Errorf("the kustomization has no claim %s", v.Claim)
}

func changeInline(workload *unstructured.Unstructured, v Volume, ch InlineChange) error {
	if v.Source != Inline {
		return fmt.Errorf("it is a %s", v.Source)
	}
	return change(workload.Object, podVolumes, v.Name, func(volume map[string]any) error {
		csi, _ := volume["csi"].(map[string]any)
		if ch.Driver != "" {
			csi["driver"] = ch.Driver
		}
		if ch.FSType != "" {
			csi["fsType"] = ch.FSType
		}
		attributes, _ := csi["volumeAttributes"].(map[string]any)
		if attributes == nil {
			attributes = map[string]any{}
		}
		for name, value := range ch.Attributes {
			if attributes[name] = value; value == "" {
				delete(attributes, name)
			}
		}
		csi["volumeAttributes"] = attributes
		return nil
	})
}

// limitMemory limits the container memcached. Sidecars and init containers keep what they need.
func (m *Manifest) limitMemory(limit resource.Quantity) error {
	if limit.IsZero() {
		return nil
	}
	workload := m.workload()
	err := change(workload.Object, podContainers, Container, func(container map[string]any) error {
		for _, part := range []string{"limits", "requests"} {
			if err := unstructured.SetNestedField(container, limit.String(), "resources", part, string(corev1.ResourceMemory)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("container %s: limiting its memory: %w", Container, err)
	}
	return m.setWorkload(workload)
}

var (
	podContainers  = []string{"spec", "template", "spec", "containers"}
	podVolumes     = []string{"spec", "template", "spec", "volumes"}
	claimTemplates = []string{"spec", "volumeClaimTemplates"}
)

func intoMemory(workload *unstructured.Unstructured, v Volume) error {
	if v.Size.IsZero() {
		return errors.New("the manifest does not state its size")
	}
	source := map[string]any{"medium": string(corev1.StorageMediumMemory), "sizeLimit": v.Size.String()}
	volume := map[string]any{"name": v.Name, "emptyDir": source}
	volumes, _, err := unstructured.NestedSlice(workload.Object, podVolumes...)
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedSlice(workload.Object, append(without(volumes, v.Name, volumeName), volume), podVolumes...); err != nil {
		return err
	}
	if v.Source != ClaimTemplate {
		return nil
	}
	claims, _, err := unstructured.NestedSlice(workload.Object, claimTemplates...)
	if err != nil {
		return err
	}
	return unstructured.SetNestedSlice(workload.Object, without(claims, v.Name, claimName), claimTemplates...)
}

func volumeName(item map[string]any) string { name, _ := item["name"].(string); return name }

func claimName(item map[string]any) string {
	name, _, _ := unstructured.NestedString(item, "metadata", "name")
	return name
}

func without(list []any, name string, nameOf func(map[string]any) string) []any {
	kept := []any{}
	for _, item := range list {
		if o, ok := item.(map[string]any); !ok || nameOf(o) != name {
			kept = append(kept, item)
		}
	}
	return kept
}

// change edits the item called name of the list at path.
func change(object map[string]any, path []string, name string, edit func(map[string]any) error) error {
	list, _, err := unstructured.NestedSlice(object, path...)
	if err != nil {
		return err
	}
	for _, item := range list {
		if o, ok := item.(map[string]any); ok && (volumeName(o) == name || claimName(o) == name) {
			if err := edit(o); err != nil {
				return err
			}
			return unstructured.SetNestedSlice(object, list, path...)
		}
	}
	return fmt.Errorf("it is not in %v", path)
}
