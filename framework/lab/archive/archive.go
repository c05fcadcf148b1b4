// Package archive reads archives of container images, as docker save, podman save, skopeo and buildah write them.
package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Archive is a file with container images.
type Archive struct {
	Path string
	// Images are their names in full, such as docker.io/library/memcached:1.6, in the order of the archive.
	Images []string
}

const remedy = "write one with docker save NAME or podman save --format docker-archive NAME"

// Read returns the archive at path. It may be a Docker archive or one of the OCI's image layout, and compressed with gzip.
func Read(path string) (Archive, error) {
	a := Archive{Path: path}
	content, err := a.Open()
	if err != nil {
		return a, err
	}
	defer content.Close()
	docker, layout, err := indexes(content)
	if err != nil {
		return a, fmt.Errorf("%s is no archive of container images (%w): %s", path, err, remedy)
	}
	names := docker
	if docker == nil {
		names = layout
	}
	for _, text := range names {
		full, err := FullName(text)
		if err != nil {
			return a, fmt.Errorf("%s has an image with the name %q: %w", path, text, err)
		}
		if !slices.Contains(a.Images, full) {
			a.Images = append(a.Images, full)
		}
	}
	if len(a.Images) == 0 {
		return a, fmt.Errorf("%s has no image with a name: %s, with the name that the deployment gives", path, remedy)
	}
	return a, nil
}

// FullName is the name of an image as a node knows it, with its registry and tag.
func FullName(text string) (string, error) {
	ref, err := name.ParseReference(text)
	if err != nil {
		return "", err
	}
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest, nil
	}
	return ref.Name(), nil
}

// Open returns the archive's content without compression.
func (a Archive) Open() (io.ReadCloser, error) {
	file, err := os.Open(a.Path)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReader(file)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return content{buffered, file}, nil
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", a.Path, err), file.Close())
	}
	return content{plain, file}, nil
}

type content struct {
	io.Reader
	io.Closer
}

// indexes returns the names that an archive's manifest.json and its index.json have; nil where it lacks the file.
func indexes(r io.Reader) (docker, layout []string, err error) {
	files := tar.NewReader(r)
	for {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF) && docker == nil && layout == nil:
			return nil, nil, errors.New("it has neither manifest.json nor index.json")
		case errors.Is(err, io.EOF):
			return docker, layout, nil
		case err != nil:
			return nil, nil, err
		}
		switch strings.TrimPrefix(header.Name, "./") {
		case "manifest.json":
			docker, err = dockerNames(files)
		case "index.json":
			layout, err = layoutNames(files)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func dockerNames(r io.Reader) ([]string, error) {
	var manifest []struct{ RepoTags []string }
	if err := json.NewDecoder(r).Decode(&manifest); err != nil {
		return nil, err
	}
	names := []string{}
	for _, image := range manifest {
		names = append(names, image.RepoTags...)
	}
	return names, nil
}

// Annotations of an image in a layout: the name that containerd writes, and that of the OCI, which may be a tag only.
const (
	containerdName = "io.containerd.image.name"
	layoutName     = "org.opencontainers.image.ref.name"
)

func layoutNames(r io.Reader) ([]string, error) {
	var index struct {
		Manifests []struct{ Annotations map[string]string }
	}
	if err := json.NewDecoder(r).Decode(&index); err != nil {
		return nil, err
	}
	names := []string{}
	for _, image := range index.Manifests {
		full, short := image.Annotations[containerdName], image.Annotations[layoutName]
		switch {
		case full != "":
			names = append(names, full)
		case strings.ContainsAny(short, "/:"):
			names = append(names, short)
		}
	}
	return names, nil
}
