package artifact

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// sumsSuffix is that of the list of what an artifact consists of, next to it: a
// line for each file, with a digest or the target of a link, its mode, and its
// quoted name.
const sumsSuffix = ".sums"

// ErrNoSums is wrapped by errors that say that an artifact cannot be verified,
// because it was made before digests were recorded.
var ErrNoSums = errors.New("no digests were recorded")

// DamageError says what of an artifact is not as it was made.
type DamageError struct {
	Name  string
	Found []string // a line for each file
}

func (e *DamageError) Error() string {
	const shown = 3
	text := strings.Join(e.Found[:min(len(e.Found), shown)], "; ")
	if len(e.Found) > shown {
		text += fmt.Sprintf("; and %d more", len(e.Found)-shown)
	}
	return fmt.Sprintf("%s is damaged: %s", e.Name, text)
}

// publish gives what was made aside its name. Content, digests and names are
// on disk then in this order, so that a power cut leaves a whole artifact or
// none.
func publish(aside, path string) error {
	sums, err := sumsOf(aside)
	if err != nil {
		return fmt.Errorf("record digests: %w", err)
	}
	if err := syncFileSystem(aside); err != nil {
		return err
	}
	if err := renameio.WriteFile(path+sumsSuffix, sums, 0o644); err != nil {
		return fmt.Errorf("record digests: %w", err)
	}
	if err := os.Rename(aside, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncFileSystem(path string) error { return onOpen(path, unix.Syncfs) }

func syncDirectory(path string) error { return onOpen(path, unix.Fsync) }

func onOpen(path string, call func(fd int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := errors.Join(call(int(f.Fd())), f.Close()); err != nil {
		return fmt.Errorf("write %s to disk: %w", path, err)
	}
	return nil
}

func sumsOf(dir string) ([]byte, error) {
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		line, err := sumOf(dir, path, d)
		fmt.Fprintln(&b, line)
		return err
	})
	return b.Bytes(), err
}

func sumOf(dir, path string, d fs.DirEntry) (string, error) {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return "", err
	}
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	content := "-"
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		content = fmt.Sprintf("%q", target)
	case d.Type().IsRegular():
		if content, err = digestOf(path); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s %s %q", content, info.Mode(), name), nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// Verify compares an artifact with the digests that were recorded when it was
// made. What differs is a *DamageError; an error without digests wraps
// ErrNoSums. It reads all of the artifact.
func (s *Store) Verify(e Entry) error {
	if isLink(e.Path) {
		return &DamageError{Name: e.Name, Found: []string{"it is a symbolic link and not a directory"}}
	}
	recorded, err := os.ReadFile(e.Path + sumsSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("verify %s: %w", e.Name, ErrNoSums)
	}
	if err != nil {
		return fmt.Errorf("verify %s: %w", e.Name, err)
	}
	now, err := sumsOf(e.Path)
	if err != nil {
		return &DamageError{Name: e.Name, Found: []string{err.Error()}}
	}
	was, is := byName(recorded), byName(now)
	var found []string
	for name, line := range was {
		switch other, there := is[name]; {
		case !there:
			found = append(found, name+" is missing")
		case other != line:
			found = append(found, name+" has changed")
		}
	}
	for name := range is {
		if _, known := was[name]; !known {
			found = append(found, name+" was added")
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return &DamageError{Name: e.Name, Found: found}
}

// byName maps the quoted names of a list of digests to their lines.
func byName(sums []byte) map[string]string {
	lines := map[string]string{}
	for scan := bufio.NewScanner(bytes.NewReader(sums)); scan.Scan(); {
		line := scan.Text()
		i := strings.LastIndex(strings.TrimSuffix(line, `"`), ` "`)
		lines[line[i+1:]] = line
	}
	return lines
}
