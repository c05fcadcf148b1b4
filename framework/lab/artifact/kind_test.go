package artifact

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeFiles(t *testing.T, files map[string]string) {
	t.Helper()
	for path, content := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// What an engine would copy for each node is a link, and leads to the content.
func TestMoveOut(t *testing.T) {
	root := t.TempDir()
	snapshot, blob := filepath.Join(root, storeDir, snapshots, "1"), filepath.Join(root, storeDir, blobs, "abc")
	writeFiles(t, map[string]string{snapshot + "/fs/usr/local/bin/kubernetes": "program", blob: "layer"})
	if err := errors.Join(moveOut(root), shareKubernetes(withBin(t, root))); err != nil {
		t.Fatal(err)
	}
	for from, file := range map[string]string{snapshot: "fs/usr/local/bin/kubernetes", blob: ""} {
		target, err := os.Readlink(from)
		if err != nil || !strings.HasPrefix(target, "/kind/store/") {
			t.Errorf("%s leads to %q, %v, want a path below /kind/store", from, target, err)
			continue
		}
		if _, err := os.Stat(filepath.Join(root, target, file)); err != nil {
			t.Error(err)
		}
	}
	if content, err := os.ReadFile(filepath.Join(root, "usr/bin/kubelet")); string(content) != "program" {
		t.Errorf("the kubelet is %q, %v", content, err)
	}
}

func withBin(t *testing.T, root string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// Without Kubernetes' programs in the store there is no kubelet.
func TestShareKubernetesWithoutImage(t *testing.T) {
	if err := shareKubernetes(withBin(t, t.TempDir())); err == nil || !strings.Contains(err.Error(), "want one image") {
		t.Errorf("err = %v, want one that says which image is missing", err)
	}
}

func TestCopyTree(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	writeFiles(t, map[string]string{
		filepath.Join(src, "usr/local/bin/entrypoint"): "run", filepath.Join(src, "etc/crictl.yaml"): "",
		filepath.Join(dst, "etc/crictl.yaml"): "before",
	})
	if err := copyTree(src, dst); err != nil {
		t.Fatal(err)
	}
	for file, mode := range map[string]os.FileMode{"usr/local/bin/entrypoint": 0o755, "etc/crictl.yaml": 0o644} {
		info, err := os.Stat(filepath.Join(dst, file))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v; want the mode %v", file, info, err, mode)
		}
	}
	if content, _ := os.ReadFile(filepath.Join(dst, "etc/crictl.yaml")); len(content) > 0 {
		t.Errorf("the file that was there is %q, want that of the tree", content)
	}
}

// The machine's disk comes after the image of the nodes, and what both need that a lab has, too, is the lab's.
func TestKindParts(t *testing.T) {
	b, err := NewBuilder(openStore(t), checkout, DefaultVersions())
	if err != nil {
		t.Fatal(err)
	}
	lab, err := b.parts()
	if err != nil {
		t.Fatal(err)
	}
	shared := map[string]bool{}
	for _, p := range b.missing(lab.all()) {
		shared[b.store.Path(p.Artifact)] = true
	}
	of, err := b.kindParts()
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]bool{}
	for _, p := range b.missing(of.all()) {
		for _, from := range p.from {
			if !before[b.store.Path(from.Artifact)] {
				t.Errorf("%s comes before %s, which it is made from", p.Name, from.Name)
			}
		}
		before[b.store.Path(p.Artifact)] = true
	}
	for _, name := range []string{"kubernetes", "etcd", "containerd", "pmem-csi", "qemu", "node-shell"} {
		found := false
		for path := range before {
			found = found || shared[path] && strings.HasPrefix(filepath.Base(path), name+"-")
		}
		if !found {
			t.Errorf("%s is not the one of the lab", name)
		}
	}
}
