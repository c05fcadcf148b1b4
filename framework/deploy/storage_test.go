package deploy

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// volumeOf is the pod's volume of that name, in JSON.
func volumeOf(t *testing.T, m *Manifest, name string) string {
	t.Helper()
	for _, v := range m.template.Spec.Volumes {
		if v.Name == name {
			text, err := json.Marshal(v.VolumeSource)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	return ""
}

func TestVolumeSize(t *testing.T) {
	ephemeral, _ := extract(t, "testdata/ephemeral.txtar")
	persistent, _ := extract(t, "testdata/persistent.txtar")
	claim, _ := extract(t, "testdata/claim.txtar")
	for name, dir := range map[string]string{
		"inline": filepath.Join(ephemeral, "bare"), "template": persistent, "claim": filepath.Join(claim, "claim"), "ephemeral": filepath.Join(claim, "ephemeral"),
	} {
		before, err := Load(dir, Changes{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Load(dir, Changes{VolumeSize: resource.MustParse("700Mi")})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v, err := m.Volume()
		was, _ := before.Volume()
		if err != nil || v.Size.String() != "700Mi" || was.Size.String() == "700Mi" || v.Source != was.Source || v.Name != was.Name || v.Class != was.Class {
			t.Errorf("%s: %+v became %+v, %v", name, was, v, err)
		}
	}
}

func TestVolumeInMemory(t *testing.T) {
	ephemeral, _ := extract(t, "testdata/ephemeral.txtar")
	persistent, _ := extract(t, "testdata/persistent.txtar")
	claim, _ := extract(t, "testdata/claim.txtar")
	const memory = `{"emptyDir":{"medium":"Memory","sizeLimit":"200Mi"}}`
	for name, test := range map[string]struct{ dir, volume string }{
		"inline":    {filepath.Join(ephemeral, "bare"), "data-volume"},
		"template":  {persistent, "memcached-data-volume"},
		"claim":     {filepath.Join(claim, "claim"), "data"},
		"ephemeral": {filepath.Join(claim, "ephemeral"), "data"},
	} {
		m, err := Load(test.dir, Changes{Namespace: "control", VolumeInMemory: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := volumeOf(t, m, test.volume); got != memory {
			t.Errorf("%s: volume %s, want %s", name, got, memory)
		}
		if len(m.claims) != 0 || m.Namespace != "control" {
			t.Errorf("%s: %d claim templates are left, namespace %s", name, len(m.claims), m.Namespace)
		}
		for _, o := range m.Objects {
			if o.GetKind() == claimKind && o.GetName() == "cache-data" {
				t.Errorf("%s: the claim is left", name)
			}
		}
	}
	_, err := Load(filepath.Join(claim, "elsewhere"), Changes{VolumeInMemory: true})
	if err == nil || !strings.Contains(err.Error(), "does not state its size") {
		t.Errorf("a claim of somebody else: %v", err)
	}
	_, err = Load(filepath.Join(claim, "elsewhere"), Changes{VolumeSize: resource.MustParse("1Gi")})
	if err == nil || !strings.Contains(err.Error(), "has no claim cache-data") {
		t.Errorf("a claim of somebody else: %v", err)
	}
}

// TestMemoryOfAVolumeInMemory has limits of which the volume is more than the whole, and a sidecar without the volume.
func TestMemoryOfAVolumeInMemory(t *testing.T) {
	ephemeral, _ := extract(t, "testdata/ephemeral.txtar")
	dir := filepath.Join(ephemeral, "bare")
	before, err := Load(dir, Changes{})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := before.Volume()
	written := func() *unstructured.Unstructured {
		w := before.workload().DeepCopy()
		amounts := func(requests, limits string) map[string]any {
			return map[string]any{"requests": map[string]any{"memory": requests, "cpu": "1"}, "limits": map[string]any{"memory": limits}}
		}
		mount := []any{map[string]any{"name": v.Name, "mountPath": "/data"}}
		set := func(path []string, containers ...any) {
			if err := unstructured.SetNestedSlice(w.Object, containers, path...); err != nil {
				t.Fatal(err)
			}
		}
		set(podInitContainers, map[string]any{"name": "init", "volumeMounts": mount, "resources": map[string]any{"limits": map[string]any{"memory": "16Mi"}}})
		set(podContainers, map[string]any{"name": Container, "volumeMounts": mount, "resources": amounts("64Mi", "128Mi")},
			map[string]any{"name": "exporter", "resources": amounts("8Mi", "16Mi")}, map[string]any{"name": "free", "volumeMounts": mount, "resources": map[string]any{}})
		if err := unstructured.SetNestedMap(w.Object, amounts("1Gi", "1Gi"), "spec", "template", "spec", "resources"); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := written()
	raised, err := addMemory(w, v)
	if got, want := strings.Join(raised, ", "), "the pod, container init, container "+Container; err != nil || got != want {
		t.Errorf("raised %q, %v, want %q", got, err, want)
	}
	text, _ := w.MarshalJSON()
	for _, want := range []string{
		`"limits":{"memory":"216Mi"}`, `"limits":{"memory":"328Mi"},"requests":{"cpu":"1","memory":"264Mi"}`,
		`"limits":{"memory":"16Mi"},"requests":{"cpu":"1","memory":"8Mi"}`, `"limits":{"memory":"1224Mi"}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	w = written()
	if err := unstructured.SetNestedField(w.Object, "much", "spec", "template", "spec", "resources", "limits", "memory"); err != nil {
		t.Fatal(err)
	}
	if _, err := addMemory(w, v); err == nil || !strings.Contains(err.Error(), "the pod: resources.limits.memory: much") {
		t.Errorf("an amount that is none: %v", err)
	}
}

func TestVolumeClass(t *testing.T) {
	ephemeral, _ := extract(t, "testdata/ephemeral.txtar")
	persistent, _ := extract(t, "testdata/persistent.txtar")
	claim, _ := extract(t, "testdata/claim.txtar")
	for name, test := range map[string]struct {
		dir  string
		want VolumeSource
	}{
		"inline":    {filepath.Join(ephemeral, "bare"), Ephemeral},
		"template":  {persistent, ClaimTemplate},
		"claim":     {filepath.Join(claim, "claim"), Claim},
		"ephemeral": {filepath.Join(claim, "ephemeral"), Ephemeral},
	} {
		m, err := Load(test.dir, Changes{VolumeClass: "another", VolumeSize: resource.MustParse("700Mi")})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v, err := m.Volume()
		if err != nil || v.Source != test.want || v.Class != "another" || v.Size.String() != "700Mi" || v.Driver != "" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	_, err := Load(filepath.Join(claim, "elsewhere"), Changes{VolumeClass: "another"})
	if err == nil || !strings.Contains(err.Error(), "has no claim cache-data") {
		t.Errorf("a claim of somebody else: %v", err)
	}
}

func TestInlineChange(t *testing.T) {
	ephemeral, _ := extract(t, "testdata/ephemeral.txtar")
	persistent, _ := extract(t, "testdata/persistent.txtar")
	m, err := Load(filepath.Join(ephemeral, "bare"), Changes{Inline: InlineChange{
		Driver: "other.example", FSType: "xfs", Attributes: map[string]string{"size": "", "usage": "FileIO"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"csi":{"driver":"other.example","fsType":"xfs","volumeAttributes":{"usage":"FileIO"}}}`
	if got := volumeOf(t, m, "data-volume"); got != want {
		t.Errorf("volume %s, want %s", got, want)
	}
	_, err = Load(persistent, Changes{Inline: InlineChange{FSType: "xfs"}})
	if err == nil || !strings.Contains(err.Error(), "it is a "+string(ClaimTemplate)) {
		t.Errorf("no inline volume: %v", err)
	}
}

func TestMemoryLimit(t *testing.T) {
	persistent, _ := extract(t, "testdata/persistent.txtar")
	m, err := Load(persistent, Changes{MemoryLimit: resource.MustParse("64Mi")})
	if err != nil {
		t.Fatal(err)
	}
	all := append(m.template.Spec.InitContainers, m.template.Spec.Containers...)
	for _, c := range all {
		if c.Resources.Limits.Memory().String() != "64Mi" || c.Resources.Requests.Memory().String() != "64Mi" {
			t.Errorf("container %s: %+v", c.Name, c.Resources)
		}
	}
	if len(all) == 0 {
		t.Error("no containers")
	}
}
