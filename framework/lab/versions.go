package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/private"
)

// made is what a lab was made of. It is written down as soon as all of it is
// there, so that later commands treat the lab as the one that made it did, and
// nobody removes what it needs.
type made struct {
	artifact.Versions
	// Directories of the cache that the lab needs as long as it is there.
	Directories []string `json:"directories"`
}

const madeFile = "made.json"

func (l *Lab) writeMade(m made) error {
	text, err := json.MarshalIndent(m, "", "\t")
	if err == nil {
		err = private.ReplaceFile(l.dir.Path(madeFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write down what the lab is made of: %w", err)
	}
	return nil
}

// readMade returns nothing if nothing is written down in the state directory
// dir of a lab: there is no lab, or it has not come that far.
func readMade(dir string) (*made, error) {
	path := filepath.Join(dir, madeFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var m made
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil && (m.Kubernetes == "" || len(m.Memcached) == 0) {
		err = errors.New("it names no versions")
	}
	if err != nil {
		return nil, fmt.Errorf("what the lab is made of: %s: %w; make lab-down removes the lab", path, err)
	}
	return &m, nil
}

// versions returns those that the lab was made with, or by default would be.
func (l *Lab) versions() (artifact.Versions, error) {
	m, err := readMade(string(l.dir))
	if err != nil || m == nil {
		return artifact.DefaultVersions(), err
	}
	return m.Versions, nil
}

// checkVersions refuses a lab that is up with other versions than were chosen.
func (l *Lab) checkVersions() error {
	if !l.inspect().up() {
		return nil
	}
	has, err := l.versions()
	if err != nil {
		return err
	}
	if chosen := l.opts.Versions; !has.Has(chosen) {
		return fmt.Errorf("%w: lab %s has %s, and not the chosen %s; make lab-down removes it, LAB_NAME names another", ErrDiffers, l.opts.Name, has, chosen.Or(has))
	}
	return nil
}

// MemcachedImages returns the names of the memcached images on the lab's nodes,
// the one to examine first.
func (l *Lab) MemcachedImages() ([]string, error) {
	has, err := l.versions()
	if err != nil {
		return nil, err
	}
	var images []string
	for _, v := range l.opts.Versions.Or(has).Memcached {
		images = append(images, artifact.MemcachedReference(v))
	}
	return images, nil
}

// SourceDir returns the checkout whose hack/ directory pins the programs.
func (l *Lab) SourceDir() string { return l.opts.SourceDir }
