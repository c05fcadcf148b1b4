package deploy

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
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
		m, err := Load(test.dir, Changes{Namespace: "twin", VolumeInMemory: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := volumeOf(t, m, test.volume); got != memory {
			t.Errorf("%s: volume %s, want %s", name, got, memory)
		}
		if len(m.claims) != 0 || m.Namespace != "twin" {
			t.Errorf("%s: %d claim templates are left, namespace %s", name, len(m.claims), m.Namespace)
		}
		for _, o := range m.Objects {
			if o.GetKind() == claimKind && o.GetName() == "cache-data" {
				t.Errorf("%s: the claim is left", name)
			}
		}
	}
	_, err := Load(filepath.Join(claim, "elsewhere"), Changes{VolumeInMemory: true})
	if err == nil || !strings.Contains(err.Error(), "does not tell its size") {
		t.Errorf("a claim of somebody else: %v", err)
	}
	_, err = Load(filepath.Join(claim, "elsewhere"), Changes{VolumeSize: resource.MustParse("1Gi")})
	if err == nil || !strings.Contains(err.Error(), "has no claim cache-data") {
		t.Errorf("a claim of somebody else: %v", err)
	}
}
