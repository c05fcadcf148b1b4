package deploy

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// changeVolume gives the volume of the memory file another size, or puts
// memory in its place.
func (m *Manifest) changeVolume(ch Changes) error {
	if ch.VolumeSize.IsZero() && !ch.VolumeInMemory {
		return nil
	}
	v, err := m.Volume()
	if err != nil {
		return err
	}
	workload := m.workload()
	if !ch.VolumeSize.IsZero() {
		if err := m.resize(workload, v, ch.VolumeSize.String()); err != nil {
			return fmt.Errorf("volume %s: setting its size: %w", v.Name, err)
		}
		v.Size = ch.VolumeSize
	}
	if ch.VolumeInMemory {
		if err := intoMemory(workload, v); err != nil {
			return fmt.Errorf("volume %s: putting memory in its place: %w", v.Name, err)
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

var requestPath = []string{"spec", "resources", "requests", string(corev1.ResourceStorage)}

func (m *Manifest) resize(workload *unstructured.Unstructured, v Volume, size string) error {
	switch v.Source {
	case Inline:
		return change(workload.Object, podVolumes, v.Name, func(volume map[string]any) error {
			return unstructured.SetNestedField(volume, size, "csi", "volumeAttributes", sizeAttribute)
		})
	case Ephemeral:
		return change(workload.Object, podVolumes, v.Name, func(volume map[string]any) error {
			return unstructured.SetNestedField(volume, size, append([]string{"ephemeral", "volumeClaimTemplate"}, requestPath...)...)
		})
	case ClaimTemplate:
		return change(workload.Object, claimTemplates, v.Name, func(claim map[string]any) error {
			return unstructured.SetNestedField(claim, size, requestPath...)
		})
	}
	for _, o := range m.Objects {
		if o.GetKind() == claimKind && o.GetName() == v.Claim {
			return unstructured.SetNestedField(o.Object, size, requestPath...)
		}
	}
	return fmt.Errorf("the kustomization has no claim %s", v.Claim)
}

var (
	podVolumes     = []string{"spec", "template", "spec", "volumes"}
	claimTemplates = []string{"spec", "volumeClaimTemplates"}
)

func intoMemory(workload *unstructured.Unstructured, v Volume) error {
	if v.Size.IsZero() {
		return errors.New("the manifest does not tell its size")
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
