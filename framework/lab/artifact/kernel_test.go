package artifact

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKernels(t *testing.T) {
	for name, want := range map[string]string{"6.12": "6.12", "trixie": "6.12", "6.1": "6.1", "bookworm": "6.1"} {
		if v, err := ParseVersions("", "", name); err != nil || v.Kernel != want {
			t.Errorf("%q is kernel %q, %v; want %q", name, v.Kernel, err, want)
		}
	}
	for _, name := range []string{"6", "6.12.1", "sid", "newest"} {
		if _, err := ParseVersions("", "", name); err == nil || !strings.Contains(err.Error(), "LAB_KERNEL=\""+name+"\"") || !strings.Contains(err.Error(), "6.12 (trixie), 6.1 (bookworm)") {
			t.Errorf("%q: %v", name, err)
		}
	}
	has := DefaultVersions()
	if has.Has(Versions{Kernel: "6.1"}) || !has.Has(Versions{Kernel: "6.12"}) {
		t.Errorf("%v has the wrong kernels", has)
	}
}

// A kernel changes the node's root filesystem and disk, and nothing else.
func TestDisksOfKernels(t *testing.T) {
	store := openStore(t)
	paths := map[string][]string{}
	for _, r := range kernelReleases {
		b, err := NewBuilder(store, checkout, Versions{Kernel: r.Version}.Or(DefaultVersions()))
		if err != nil {
			t.Fatal(err)
		}
		if paths[r.Version], err = b.Paths(); err != nil {
			t.Fatal(err)
		}
	}
	own := 0
	for _, path := range paths["6.1"] {
		if !slices.Contains(paths["6.12"], path) {
			own++
		}
	}
	if own != 2 {
		t.Errorf("kernel 6.1 has %d artifacts of its own, want the root filesystem and the disk", own)
	}
	if _, err := NewBuilder(store, checkout, Versions{Kernel: "5.10"}.Or(DefaultVersions())); err == nil || !strings.Contains(err.Error(), "6.1 (bookworm)") {
		t.Errorf("an unknown kernel: %v", err)
	}
}

// The runtime that is installed is the one that containerd is configured with.
func TestRuntimes(t *testing.T) {
	for _, r := range kernelReleases {
		if !slices.Contains(r.root().Packages, r.Runtime) {
			t.Errorf("kernel %s: %s is not installed", r.Version, r.Runtime)
		}
		root := t.TempDir()
		if err := (&Builder{kernel: r}).installFiles(root); err != nil {
			t.Fatal(err)
		}
		config, err := os.ReadFile(filepath.Join(root, "etc/containerd/config.toml"))
		if err != nil || !strings.Contains(string(config), "BinaryName = '"+r.Binary+"'") {
			t.Errorf("kernel %s: %v, containerd runs\n%s", r.Version, err, config)
		}
	}
}
