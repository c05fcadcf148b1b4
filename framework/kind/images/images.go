// Package images knows the container images in archives, as docker save writes
// them.
package images

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// An Archive is a file with images.
type Archive struct {
	Path       string
	References []string // as they are written in it
}

// Read reads the archives at the paths, which are files or directories of them.
func Read(paths []string) ([]Archive, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := filepath.Glob(filepath.Join(path, "*.tar"))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: there is no file *.tar in the directory", path)
		}
		files = append(files, found...)
	}
	var archives []Archive
	for _, file := range files {
		manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w; give an archive as docker save writes it", file, err)
		}
		a := Archive{Path: file}
		for _, image := range manifest {
			a.References = append(a.References, image.RepoTags...)
		}
		if len(a.References) == 0 {
			return nil, fmt.Errorf("%s: its images have no names; save them by name, not by id", file)
		}
		archives = append(archives, a)
	}
	return archives, nil
}

// Named returns the images of the archives whose last part of the name it is,
// in their order: memcached is docker.io/library/memcached:1.6 and all others.
func Named(archives []Archive, last string) []string {
	var found []string
	for _, a := range archives {
		for _, reference := range a.References {
			if Name(reference) == last && !slices.Contains(found, reference) {
				found = append(found, reference)
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

// Full is the name of an image with its registry, as containerd has it.
func Full(reference string) (string, error) {
	r, err := name.ParseReference(reference, name.WithDefaultRegistry("docker.io"))
	if err != nil {
		return "", err
	}
	return strings.Replace(r.Name(), "index.docker.io/", "docker.io/", 1), nil
}
