package artifact

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

const checkout = "../../.."

// What parts.go says of a program must be what its module pins.
func TestVersionsAreThoseOfTheModules(t *testing.T) {
	byModule := map[string]Program{}
	for _, p := range []Program{etcd, containerd, driver, provisioner, coredns, corednsKubeadm, crictl} {
		byModule[p.Module] = p
	}
	for _, r := range kubernetesReleases {
		byModule[r.Module] = r.program()
	}
	byModule[kubeadmModule] = Program{Module: kubeadmModule, Version: kubernetesReleases[0].Version}
	for _, pin := range Pins() {
		p, ok := byModule[pin.Dir]
		if !ok {
			continue // a tool, of which parts.go says nothing
		}
		delete(byModule, pin.Dir)
		path := filepath.Join(checkout, "hack", p.Module, "go.mod")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mod, err := modfile.Parse(path, content, nil)
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, r := range mod.Require {
			if r.Mod.Path == pin.Module {
				found = r.Mod.Version
			}
		}
		if want := "v" + strings.TrimPrefix(p.Version, "v"); found != want {
			t.Errorf("%s: parts.go says %s, hack/%s/go.mod pins %q", pin.Module, p.Version, p.Module, found)
		}
	}
	for dir := range byModule {
		t.Errorf("Pins lacks hack/%s", dir)
	}
}

func TestArtifactsOfThisCheckout(t *testing.T) {
	b, err := NewBuilder(openStore(t), checkout, DefaultVersions())
	if err != nil {
		t.Fatal(err)
	}
	disk, err := b.diskPart()
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.diskPart()
	if err != nil {
		t.Fatal(err)
	}
	if b.store.Path(disk.Artifact) != b.store.Path(again.Artifact) {
		t.Error("the same checkout gives two disks")
	}
}

func TestNewBuilderRefusesAnotherDirectory(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewBuilder(openStore(t), dir, DefaultVersions()); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("err = %v, want one that names %s", err, dir)
	}
}

func TestImageReferences(t *testing.T) {
	seen := map[string]bool{}
	images := slices.Clone(Images)
	for _, r := range memcachedReleases {
		images = append(images, r.image())
	}
	for _, i := range images {
		ref := i.Reference()
		if seen[ref] {
			t.Errorf("%s is there twice", ref)
		}
		seen[ref] = true
		if !strings.HasPrefix(ref, Registry+"/") || strings.HasSuffix(ref, ":") {
			t.Errorf("%s: want a name below %s with a tag", ref, Registry)
		}
		if len(i.Config.Entrypoint)+len(i.Config.Cmd) == 0 {
			t.Errorf("%s has nothing to run", ref)
		}
	}
}
