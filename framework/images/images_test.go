package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// written returns the path of a file with that content.
func written(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.tar")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// archived returns an archive with files, each a name and its content.
func archived(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The id of an image is the name of its configuration's file in an archive of Docker.
func TestIDs(t *testing.T) {
	var docker bytes.Buffer
	if err := tarball.Write(name.MustParseReference("example.com/memcached:2"), empty.Image, &docker); err != nil {
		t.Fatal(err)
	}
	id, err := empty.Image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.Repeat("0a", 32)
	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"go-containerregistry":  {docker.Bytes(), id.String()},
		"docker 25 and later":   {archived(t, "manifest.json", `[{"Config":"blobs/sha256/`+digest+`","RepoTags":["example.com/memcached:2"]}]`), "sha256:" + digest},
		"docker before, podman": {archived(t, "manifest.json", `[{"Config":"`+digest+`.json","RepoTags":["example.com/memcached:2"]}]`), "sha256:" + digest},
		"something else":        {archived(t, "manifest.json", `[{"Config":"config.json","RepoTags":["example.com/memcached:2"]}]`), ""},
		"a layout":              {archived(t, "index.json", `{"manifests":[{"annotations":{"io.containerd.image.name":"example.com/memcached:2"}}]}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Read(written(t, tt.content))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.IDs["example.com/memcached:2"]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	var docker bytes.Buffer
	if err := tarball.Write(name.MustParseReference("example.com/own/memcached:2"), empty.Image, &docker); err != nil {
		t.Fatal(err)
	}
	const layout = `{"manifests":[
		{"annotations":{"io.containerd.image.name":"docker.io/library/memcached:1.6","org.opencontainers.image.ref.name":"1.6"}},
		{"annotations":{"org.opencontainers.image.ref.name":"example.com/cache:3"}},
		{"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}`
	for _, tt := range []struct {
		name    string
		content []byte
		want    []string
		wrong   string
	}{
		{name: "of Docker", content: docker.Bytes(), want: []string{"example.com/own/memcached:2"}},
		{name: "compressed", content: compressed(t, docker.Bytes()), want: []string{"example.com/own/memcached:2"}},
		{name: "short names", content: archived(t, "manifest.json", `[{"RepoTags":["memcached","me/memcached:1","memcached:latest"]}]`),
			want: []string{"docker.io/library/memcached:latest", "docker.io/me/memcached:1"}},
		{name: "a layout", content: archived(t, "./index.json", layout), want: []string{"docker.io/library/memcached:1.6", "example.com/cache:3"}},
		{name: "both", content: archived(t, "index.json", layout, "manifest.json", `[{"RepoTags":["example.com/a:1"]}]`), want: []string{"example.com/a:1"}},
		{name: "no name", content: archived(t, "manifest.json", `[{"RepoTags":null}]`), wrong: "has no image with a name: write one with docker save"},
		{name: "a bad name", content: archived(t, "manifest.json", `[{"RepoTags":["A b"]}]`), wrong: `has an image with the name "A b"`},
		{name: "another archive", content: archived(t, "README", "text"), wrong: "no archive of container images (it has neither manifest.json nor index.json): write one"},
		{name: "no archive", content: []byte(strings.Repeat("text", 300)), wrong: "no archive of container images"},
		{name: "a bad manifest", content: archived(t, "manifest.json", `{`), wrong: "manifest.json: unexpected EOF"},
		{name: "cut short", content: compressed(t, docker.Bytes())[:40], wrong: "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := written(t, tt.content)
			got, err := Read(path)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want one with %q and the path", err, tt.wrong)
				}
				return
			}
			if err != nil || !slices.Equal(got.Images, tt.want) {
				t.Errorf("images %q, %v, want %q", got.Images, err, tt.want)
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("of a file that is not there: %v", err)
	}
}

func TestReadAll(t *testing.T) {
	dir := t.TempDir()
	for file, image := range map[string]string{"a.tar": "lab.invalid/memcached:1.6.38", "b.tgz": "memcached:1.6.18", "c.tar": "example.org:5000/intel/pmem-csi-driver:v1.1.0", "d.txt": "other:1"} {
		if err := os.WriteFile(filepath.Join(dir, file), archived(t, "manifest.json", `[{"RepoTags":["`+image+`"]}]`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archives, err := ReadAll([]string{dir, filepath.Join(dir, "c.tar")})
	if err != nil || len(archives) != 4 {
		t.Fatalf("%+v, %v; want 4 archives", archives, err)
	}
	if got, want := Named(archives, "memcached"), []string{"lab.invalid/memcached:1.6.38", "docker.io/library/memcached:1.6.18"}; !slices.Equal(got, want) {
		t.Errorf("memcached: %q, want %q", got, want)
	}
	if got, want := Named(archives, "pmem-csi-driver"), []string{"example.org:5000/intel/pmem-csi-driver:v1.1.0"}; !slices.Equal(got, want) {
		t.Errorf("pmem-csi-driver: %q, want %q", got, want)
	}
	_, err = ReadAll([]string{t.TempDir(), filepath.Join(dir, "none"), filepath.Join(dir, "d.txt")})
	for _, want := range []string{"the directory has no file *.tar", "no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
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

// What a node gets has no compression.
func TestOpen(t *testing.T) {
	plain := archived(t, "manifest.json", `[{"RepoTags":["example.com/a:1"]}]`)
	for _, content := range [][]byte{plain, compressed(t, plain)} {
		r, err := Archive{Path: written(t, content)}.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(plain))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
