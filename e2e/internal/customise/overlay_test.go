package customise

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework/deploy"
)

// TestOverlay renders overlays of both bases, and of one whose arguments are a
// list, in both forms.
func TestOverlay(t *testing.T) {
	listed := t.TempDir()
	base, err := relative(listed, "../../../manifests/persistent")
	if err != nil {
		t.Fatal(err)
	}
	file(t, listed, `
namespace: team
resources: [`+base+`]
patches:
- target: {kind: StatefulSet}
  patch: |-
    - {op: replace, path: /spec/template/spec/containers/0/command, value: [memcached]}
    - {op: add, path: /spec/template/spec/containers/0/args, value: [-m, "64"]}
    - {op: remove, path: /spec/template/spec/containers/0/env}
- target: {kind: ConfigMap}
  patch: |-
    - {op: replace, path: /data, value: {}}
`)
	for _, tt := range []struct {
		name, base string
		wantArgs   string   // of the variable
		wantList   []string // of the container
	}{
		{"ephemeral", "../../../manifests/ephemeral", `-u "no body" -t 2`, nil},
		{"persistent", "../../../manifests/persistent", `-u "no body" -t 2`, nil},
		{"arguments in a list", listed, "", []string{"-m", "64", "-u", "no body", "-t", "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := deploy.Load(tt.base, deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			o := Overlay{Namespace: "demo", Prefix: "team-", Labels: map[string]string{"team": "blue"}, Args: []string{"-u", "no body", "-t", "2"},
				Size: resource.MustParse("333Mi"), Image: "registry.example/team/memcached:overlay"}
			got := map[Form]*deploy.Manifest{}
			for _, form := range []Form{Current, Deprecated} {
				over := t.TempDir()
				base, err := relative(over, tt.base)
				if err != nil {
					t.Fatal(err)
				}
				text, err := o.Kustomization(base, m, form)
				if err != nil {
					t.Fatal(err)
				}
				file(t, over, string(text))
				if got[form], err = deploy.Load(over, deploy.Changes{}); err != nil {
					t.Fatalf("%s form: %v\n%s", form, err, text)
				}
			}
			if !reflect.DeepEqual(got[Current].Objects, got[Deprecated].Objects) {
				t.Errorf("the two forms differ:\n%s\n%s", text(got[Current]), text(got[Deprecated]))
			}
			c := got[Current]
			v, err := c.Volume()
			if err != nil {
				t.Fatal(err)
			}
			_, container := c.Container()
			if c.Namespace != "demo" || c.Name != "team-"+m.Name || c.Service != "team-"+m.Service || v.Size.String() != "333Mi" || c.Image() != o.Image {
				t.Errorf("namespace %s, workload %s, Service %s, volume %s, image %s", c.Namespace, c.Name, c.Service, v.Size.String(), c.Image())
			}
			if c.MemcachedArgs() != tt.wantArgs || !reflect.DeepEqual(container.Args, tt.wantList) {
				t.Errorf("arguments %q and %q, want %q and %q", c.MemcachedArgs(), container.Args, tt.wantArgs, tt.wantList)
			}
		})
	}
}

func TestArgsThatNobodyPasses(t *testing.T) {
	dir := t.TempDir()
	base, err := relative(dir, "../../../manifests/ephemeral")
	if err != nil {
		t.Fatal(err)
	}
	file(t, dir, `
resources: [`+base+`]
patches:
- target: {kind: Deployment}
  patch: |-
    - {op: replace, path: /spec/template/spec/containers/0/command, value: [sh, -c, exec memcached]}
    - {op: remove, path: /spec/template/spec/containers/0/env}
- target: {kind: ConfigMap}
  patch: |-
    - {op: replace, path: /data, value: {}}
`)
	m, err := deploy.Load(dir, deploy.Changes{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Overlay{Args: []string{"-t", "2"}}.Kustomization(".", m, Current)
	if err == nil || !strings.Contains(err.Error(), "takes arguments for memcached neither from MEMCACHED_ARGS nor as a list") {
		t.Errorf("error %v", err)
	}
}

func TestRepository(t *testing.T) {
	for image, want := range map[string]string{
		"memcached":                            "memcached",
		"memcached:1.6":                        "memcached",
		"registry.example:5000/memcached":      "registry.example:5000/memcached",
		"registry.example:5000/memcached:1":    "registry.example:5000/memcached",
		"registry.example/memcached@sha256:ab": "registry.example/memcached",
	} {
		if got := repository(image); got != want {
			t.Errorf("repository(%q) = %q, want %q", image, got, want)
		}
	}
}

func file(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func text(m *deploy.Manifest) string { return string(marshal(m.Objects)) }
