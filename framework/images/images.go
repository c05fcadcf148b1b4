// Package images reads archives of container images, as docker save, podman save, skopeo and buildah write them.
package images

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
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Archive is a file with container images.
type Archive struct {
	Path string
	// Images are their names in full, such as docker.io/library/memcached:1.6, in the order of the archive.
	Images []string
	// IDs are the digests of their configurations by name, as engines and kubelets give them: sha256:… It lacks
	// those of which the archive does not say it in its index.
	IDs map[string]string
}

const remedy = "write one with docker save NAME or podman save --format docker-archive NAME"

// Read returns the archive at path. It may be a Docker archive or one of the OCI's image layout, and compressed with gzip.
func Read(path string) (Archive, error) {
	a := Archive{Path: path, IDs: map[string]string{}}
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
		full, err := Full(text.name)
		if err != nil {
			return a, fmt.Errorf("%s has an image with the name %q: %w", path, text.name, err)
		}
		if !slices.Contains(a.Images, full) {
			a.Images = append(a.Images, full)
		}
		if id := text.id(); id != "" {
			a.IDs[full] = id
		}
	}
	if len(a.Images) == 0 {
		return a, fmt.Errorf("%s has no image with a name: %s, with the name that the deployment gives", path, remedy)
	}
	return a, nil
}

// ReadAll returns the archives at paths, which may be directories with files *.tar, *.tar.gz and *.tgz.
func ReadAll(paths []string) ([]Archive, error) {
	var archives []Archive
	var errs []error
	for _, path := range paths {
		files, err := filesAt(path)
		errs = append(errs, err)
		for _, file := range files {
			a, err := Read(file)
			errs = append(errs, err)
			archives = append(archives, a)
		}
	}
	return archives, errors.Join(errs...)
}

func filesAt(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, err
	}
	var files []string
	for _, form := range []string{"*.tar", "*.tar.gz", "*.tgz"} {
		found, err := filepath.Glob(filepath.Join(path, form))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: the directory has no file *.tar, *.tar.gz or *.tgz", path)
	}
	return files, nil
}

// Named returns the images of the archives whose last part of the name it is, in their order: memcached is
// docker.io/library/memcached:1.6 and all others.
func Named(archives []Archive, last string) []string {
	var found []string
	for _, a := range archives {
		for _, image := range a.Images {
			if Name(image) == last && !slices.Contains(found, image) {
				found = append(found, image)
			}
		}
	}
	return found
}

// Name is the last part of an image's name, without tag and digest.
func Name(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	last, _, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	return last
}

// Full is the name of an image as a node knows it, with its registry and tag.
func Full(reference string) (string, error) {
	ref, err := name.ParseReference(reference)
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
func indexes(r io.Reader) (docker, layout []indexed, err error) {
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

// indexed is an image in the index of an archive.
type indexed struct {
	name   string
	config string // file of the configuration, in a Docker archive
}

// configForm is a file whose name is the digest of its content: that of docker save, as a blob or alone, or of podman and others.
var configForm = regexp.MustCompile(`^(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?$`)

// id is the image's id, empty if the index does not have it.
func (i indexed) id() string {
	if found := configForm.FindStringSubmatch(i.config); found != nil {
		return "sha256:" + found[1]
	}
	return ""
}

func dockerNames(r io.Reader) ([]indexed, error) {
	var manifest []struct {
		Config   string
		RepoTags []string
	}
	if err := json.NewDecoder(r).Decode(&manifest); err != nil {
		return nil, err
	}
	names := []indexed{}
	for _, image := range manifest {
		for _, tag := range image.RepoTags {
			names = append(names, indexed{tag, image.Config})
		}
	}
	return names, nil
}

// Annotations of an image in a layout: the name that containerd writes, and that of the OCI, which may be a tag only.
const (
	containerdName = "io.containerd.image.name"
	layoutName     = "org.opencontainers.image.ref.name"
)

func layoutNames(r io.Reader) ([]indexed, error) {
	var index struct {
		Manifests []struct{ Annotations map[string]string }
	}
	if err := json.NewDecoder(r).Decode(&index); err != nil {
		return nil, err
	}
	names := []indexed{}
	for _, image := range index.Manifests {
		full, short := image.Annotations[containerdName], image.Annotations[layoutName]
		switch {
		case full != "":
			names = append(names, indexed{name: full})
		case strings.ContainsAny(short, "/:"):
			names = append(names, indexed{name: short})
		}
	}
	return names, nil
}
