package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Registry is where the lab's images pretend to come from. No host can have
// this name (RFC 6761), so an image that the node lacks is never pulled.
const Registry = "lab.invalid"

// Image is a container image of the lab.
type Image struct {
	// Name and Tag make up the reference below Registry.
	Name, Tag string
	// Config is what a container of the image runs unless its pod says otherwise.
	Config v1.Config
	// Base is the root filesystem below the program; nil for none.
	Base *RootFS
	// Program provides the executable Executable, put at Path.
	Program          *Program
	Executable, Path string
	// Links are further names of the executable in its directory.
	Links []string
}

// Reference returns the name by which pods ask for the image.
func (i Image) Reference() string {
	return fmt.Sprintf("%s/%s:%s", Registry, i.Name, i.Tag)
}

// imageTar is the file of the artifact that holds the image.
const imageTar = "image.tar"

// artifact returns the image of the parts that it is made from, each nil if it
// has none.
func (i Image) artifact(store *Store, base, program *part) Artifact {
	a := Artifact{Name: "image-" + i.Name}
	from := []string{".", "."}
	for k, p := range []*part{base, program} {
		if p != nil {
			from[k] = filepath.Base(store.Path(p.Artifact))
		}
	}
	a.Key.Add("reference", i.Reference())
	a.Key.Add("config", fmt.Sprint(i.Config))
	a.Key.Add("from", append(from, i.Executable, i.Path)...)
	if i.Links != nil {
		a.Key.Add("links", i.Links...)
	}
	a.Make = func(ctx context.Context, out string, _ io.Writer) (err error) {
		var basePath, programPath string
		if base != nil {
			if basePath, err = store.Get(ctx, base.Artifact); err != nil {
				return err
			}
		}
		if program != nil {
			if programPath, err = store.Get(ctx, program.Artifact); err != nil {
				return err
			}
		}
		return i.write(out, basePath, programPath)
	}
	return a
}

func (i Image) write(out, basePath, programPath string) error {
	var layers []v1.Layer
	if basePath != "" {
		layer, err := tarball.LayerFromFile(filepath.Join(basePath, rootTar), tarball.WithCompressionLevel(gzip.BestSpeed))
		if err != nil {
			return fmt.Errorf("layer of %s: %w", basePath, err)
		}
		layers = append(layers, layer)
	}
	if programPath != "" {
		layer, err := executableLayer(filepath.Join(programPath, i.Executable), i.Path, i.Links)
		if err != nil {
			return err
		}
		layers = append(layers, layer)
	}
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	file = file.DeepCopy()
	file.Config, file.OS, file.Architecture = i.Config, "linux", "amd64"
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	ref, err := name.NewTag(i.Reference())
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	return tarball.WriteToFile(filepath.Join(out, imageTar), ref, img)
}

// executableLayer returns a layer that holds the file src at dst, and links to it next to
// that, alone.
func executableLayer(src, dst string, links []string) (v1.Layer, error) {
	content, err := os.ReadFile(src)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	var dirs []string
	for dir := filepath.Dir(dst); dir != "/"; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	for _, dir := range dirs {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: dst[1:], Mode: 0o755, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	for _, link := range links {
		name := filepath.Join(filepath.Dir(dst), link)[1:]
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: filepath.Base(dst), Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}, tarball.WithCompressionLevel(gzip.BestSpeed))
}
