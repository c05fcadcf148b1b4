package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// extract writes the files of an archive into a directory of the test and returns it with the comment.
func extract(t *testing.T, archive string) (dir, comment string) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, f := range a.Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, strings.TrimSpace(string(a.Comment))
}

func find(t *testing.T, m *Manifest, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range m.Objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s/%s", kind, name)
	return nil
}

func TestLoadUnchanged(t *testing.T) {
	dir, _ := extract(t, "testdata/ephemeral.txtar")
	m, err := Load(filepath.Join(dir, "bare"), Changes{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != "Deployment" || m.Name != "pmem-memcached" || m.Namespace != "default" || m.Service != "pmem-memcached" || m.ServicePort != 11211 || m.Replicas() != 1 {
		t.Errorf("found %s/%s in %s, service %s:%d, %d replicas", m.Kind, m.Name, m.Namespace, m.Service, m.ServicePort, m.Replicas())
	}
	if m.Image() != "memcached:1.6.38" || m.MemcachedArgs() != "" {
		t.Errorf("image %q, arguments %q", m.Image(), m.MemcachedArgs())
	}
	for _, o := range m.Objects {
		if o.GetNamespace() != "default" {
			t.Errorf("%s is in namespace %q", o.GetName(), o.GetNamespace())
		}
	}
}

func TestLoadOverlayWithChanges(t *testing.T) {
	dir, _ := extract(t, "testdata/ephemeral.txtar")
	overlay := filepath.Join(dir, "overlay")
	refused := "kustomization " + overlay + ": does not render: file '" + filepath.Join(dir, "shared/patch.yaml") + "' is not in or below '" + overlay +
		"'; move the file there, or set LOAD_RESTRICTOR=LoadRestrictionsNone"
	if _, err := Load(overlay, Changes{}); err == nil || err.Error() != refused {
		t.Errorf("error\n%v\nwant\n%s", err, refused)
	}
	m, err := Load(overlay, Changes{LoadAnyFile: true, Namespace: "e2e-1", MemcachedImage: "lab/memcached:9"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Namespace != "e2e-1" || m.MemcachedArgs() != "--conn-limit=500" || m.Image() != "lab/memcached:9" {
		t.Errorf("namespace %q, arguments %q, image %q", m.Namespace, m.MemcachedArgs(), m.Image())
	}
	if _, ok := m.Env("NONE"); ok {
		t.Error("a variable that is not set is found")
	}
	v, err := m.Volume()
	if err != nil || v.Name != "data-volume" || v.MountPath != "/data" || v.Source != Inline || v.Driver != "pmem-csi.intel.com" || v.FSType != "ext4" || v.Size.Value() != 500<<20 {
		t.Errorf("volume %+v, %v", v, err)
	}
	d := find(t, m, "Deployment", "pmem-memcached")
	for _, test := range []struct{ list, name, image, policy string }{
		{"initContainers", "data-volume-owner", "lab/memcached:9", "IfNotPresent"},
		{"containers", "memcached", "lab/memcached:9", "IfNotPresent"},
		{"containers", "exporter", "example/memcached-exporter:1", ""},
	} {
		list, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", test.list)
		for _, item := range list {
			c := item.(map[string]any)
			policy, _ := c["imagePullPolicy"].(string)
			if c["name"] == test.name && (c["image"] != test.image || policy != test.policy) {
				t.Errorf("%s: image %v, policy %q; want %s, %q", test.name, c["image"], policy, test.image, test.policy)
			}
		}
	}
}

func TestLoadPersistent(t *testing.T) {
	dir, _ := extract(t, "testdata/persistent.txtar")
	m, err := Load(dir, Changes{Namespace: "e2e-2"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != "StatefulSet" || m.Service != "cache" || m.ServicePort != 81 || m.Replicas() != 2 || m.Image() != "memcached" {
		t.Errorf("found %s/%s, service %s:%d, %d replicas, image %s", m.Kind, m.Name, m.Service, m.ServicePort, m.Replicas(), m.Image())
	}
	v, err := m.Volume()
	if err != nil || v.Source != ClaimTemplate || v.Class != "pmem-csi-sc-ext4" || v.MountPath != "/cache" || v.Size.Value() != 200<<20 {
		t.Errorf("volume %+v, %v", v, err)
	}
	for _, o := range m.Objects {
		want := "e2e-2"
		switch o.GetKind() {
		case "Namespace":
			t.Errorf("namespace %s was not dropped", o.GetName())
		case "StorageClass", "ClusterRoleBinding":
			want = ""
		}
		if o.GetNamespace() != want {
			t.Errorf("%s %s is in namespace %q, want %q", o.GetKind(), o.GetName(), o.GetNamespace(), want)
		}
	}
	for kind, name := range map[string]string{"RoleBinding": "cache", "ClusterRoleBinding": "cache-e2e-2"} {
		subjects, _, _ := unstructured.NestedSlice(find(t, m, kind, name).Object, "subjects")
		for i, want := range []any{"e2e-2", "monitoring", nil} {
			if i < len(subjects) && subjects[i].(map[string]any)["namespace"] != want {
				t.Errorf("%s: subject %v, want namespace %v", kind, subjects[i], want)
			}
		}
	}
	// What others refer to is created first.
	if first := m.Objects[0].GetKind(); first != "StorageClass" {
		t.Errorf("the first object is a %s", first)
	}

	kept, err := Load(dir, Changes{})
	if err != nil || kept.Namespace != "demo" {
		t.Fatalf("without changes: namespace %q, %v", kept.Namespace, err)
	}
	find(t, kept, "Namespace", "demo")
}

func TestLoadErrors(t *testing.T) {
	archives, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(archives) < 10 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			dir, want := extract(t, archive)
			_, err := Load(dir, Changes{Namespace: "n"})
			if filepath.Base(archive) == "service-in-other-namespace.txtar" {
				_, err = Load(dir, Changes{})
			}
			if err == nil || !strings.HasPrefix(err.Error(), "kustomization "+dir+": ") || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one that names %s and reports %q", err, dir, want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := Load(missing, Changes{}); err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "kustomization.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, Changes{}); err == nil || !strings.Contains(err.Error(), "not a directory; name the directory") {
		t.Errorf("a file: %v", err)
	}
}

func TestIsMemcached(t *testing.T) {
	for image, want := range map[string]bool{
		"memcached":                               true,
		"memcached:1.6":                           true,
		"docker.io/library/memcached:1.6-trixie":  true,
		"registry:5000/memcached":                 true,
		"registry:5000/a/memcached:1@sha256:0abc": true,
		"memcached@sha256:0abc":                   true,
		"memcached-exporter":                      false,
		"example/memcached/exporter:1":            false,
		"memcached:5000/exporter":                 false,
		"":                                        false,
	} {
		if isMemcached(image) != want {
			t.Errorf("%s: want %t", image, want)
		}
	}
}

func TestReplaceImagesInJobs(t *testing.T) {
	o := map[string]any{"kind": "CronJob", "spec": map[string]any{"jobTemplate": map[string]any{"spec": map[string]any{
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "x", "image": "memcached:1"}}}}}}}}
	replaceImages(o, "new")
	list, _, _ := unstructured.NestedSlice(o, "spec", "jobTemplate", "spec", "template", "spec", "containers")
	if len(list) != 1 || list[0].(map[string]any)["image"] != "new" {
		t.Errorf("%v", list)
	}
}
