package images

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func write(t *testing.T, file string, references ...string) {
	t.Helper()
	for _, reference := range references {
		tag, err := name.NewTag(reference)
		if err != nil {
			t.Fatal(err)
		}
		if err := tarball.WriteToFile(file, tag, empty.Image); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.tar"), "lab.invalid/memcached:1.6.38")
	write(t, filepath.Join(dir, "b.tar"), "memcached:1.6.18")
	write(t, filepath.Join(dir, "c.tar"), "example.org:5000/intel/pmem-csi-driver:v1.1.0")
	archives, err := Read([]string{dir, filepath.Join(dir, "c.tar")})
	if err != nil || len(archives) != 4 {
		t.Fatalf("Read: %+v, %v; want 4 archives", archives, err)
	}
	if got := Named(archives, "memcached"); len(got) != 2 || got[0] != "lab.invalid/memcached:1.6.38" || !strings.HasSuffix(got[1], "memcached:1.6.18") {
		t.Errorf("memcached: %q", got)
	}
	if got, want := Named(archives, "pmem-csi-driver"), []string{"example.org:5000/intel/pmem-csi-driver:v1.1.0"}; !slices.Equal(got, want) {
		t.Errorf("pmem-csi-driver: %q, want %q", got, want)
	}
	text := filepath.Join(dir, "text.tgz")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{
		{text, "docker save"}, {t.TempDir(), "no file *.tar"}, {filepath.Join(dir, "none"), "no such file"},
	} {
		if archives, err := Read([]string{tt.path}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v; want %q", tt.path, archives, err, tt.want)
		}
	}
}

func TestFull(t *testing.T) {
	for reference, want := range map[string]string{
		"memcached:1.6":                    "docker.io/library/memcached:1.6",
		"intel/pmem-csi-driver:v1.1.0":     "docker.io/intel/pmem-csi-driver:v1.1.0",
		"registry.k8s.io/sig-storage/a:v1": "registry.k8s.io/sig-storage/a:v1",
		"lab.invalid/memcached:1.6.38":     "lab.invalid/memcached:1.6.38",
	} {
		if got, err := Full(reference); err != nil || got != want {
			t.Errorf("Full(%s) = %s, %v; want %s", reference, got, err, want)
		}
	}
	if got, err := Full("Not A Name"); err == nil {
		t.Errorf("Full of no name: %s", got)
	}
}
