package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"pmem-memcached-e2e/framework/lockfile"

	"golang.org/x/sys/unix"
)

// ErrHeld is wrapped by errors that say that an artifact is in use.
var ErrHeld = errors.New("in use")

// Entry is an artifact as it lies in a store.
type Entry struct {
	// Name is that of the directory Path.
	Name, Path string
	// Size is what it takes of the disk, in bytes.
	Size       int64
	Made, Used time.Time
}

// entryForm is an artifact's name and its digest.
var entryForm = regexp.MustCompile(`^.+-[0-9a-f]{16}$`)

// List returns the artifacts that are there, the one not used for longest
// first.
func (s *Store) List() ([]Entry, error) {
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list the cache: %w", err)
	}
	var entries []Entry
	for _, d := range dirs {
		if !d.IsDir() && d.Type()&fs.ModeSymlink == 0 || !entryForm.MatchString(d.Name()) {
			continue
		}
		e, err := entryAt(filepath.Join(s.dir, d.Name()))
		if errors.Is(err, fs.ErrNotExist) { // removed by somebody else
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the cache: %w", err)
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Used.Compare(b.Used) })
	return entries, nil
}

func entryAt(path string) (Entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: filepath.Base(path), Path: path, Made: info.ModTime(), Used: info.ModTime()}
	if lock, err := os.Stat(path + lockSuffix); err == nil && lock.ModTime().After(e.Used) {
		e.Used = lock.ModTime()
	}
	e.Size, err = sizeOf(path)
	return e, err
}

// isLink reports whether path is a symbolic link. What it leads to was not made
// by a store and can change at any time, so it is no artifact.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// sizeOf returns what the tree at path takes of the disk, in bytes. Blocks are
// of 512 bytes each (stat(2), st_blocks).
func sizeOf(path string) (size int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return size, err
}

// Remove removes an artifact with its lock and log. It does not if somebody
// makes or holds it, or if allowed, called when nobody else can begin to hold
// it, returns an error.
func (s *Store) Remove(e Entry, allowed func() error) error {
	lock, err := tryLock(e.Path + lockSuffix)
	if err != nil {
		return fmt.Errorf("remove %s: %w", e.Name, err)
	}
	if lock == nil {
		return fmt.Errorf("%s is %w: another command makes it", e.Name, ErrHeld)
	}
	defer lock.Close()
	if !isLink(e.Path) { // nobody can hold one
		dir, err := os.Open(e.Path)
		if err != nil {
			return fmt.Errorf("remove %s: %w", e.Name, err)
		}
		defer dir.Close()
		if err := lockfile.Flock(dir, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%s is %w: another command builds or starts a lab with it", e.Name, ErrHeld)
		} else if err != nil {
			return fmt.Errorf("remove %s: %w", e.Name, err)
		}
	}
	if err := allowed(); err != nil {
		return err
	}
	aside := asidePath(e.Path)
	if err := os.Rename(e.Path, aside); err != nil {
		return fmt.Errorf("remove %s: %w", e.Name, err)
	}
	return errors.Join(os.RemoveAll(aside), removeFile(e.Path+sumsSuffix), removeFile(e.Path+logSuffix), removeFile(e.Path+lockSuffix))
}

// Tidy removes locks and logs that no artifact belongs to: those of builds
// that failed.
func (s *Store) Tidy() error {
	locks, err := filepath.Glob(filepath.Join(s.dir, "*"+lockSuffix))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range locks {
		errs = append(errs, tidy(path[:len(path)-len(lockSuffix)]))
	}
	return errors.Join(errs...)
}

func tidy(path string) error {
	if exists(path) || !entryForm.MatchString(filepath.Base(path)) {
		return nil
	}
	lock, err := tryLock(path + lockSuffix)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	if exists(path) {
		return nil
	}
	return errors.Join(removeFile(path+sumsSuffix), removeFile(path+logSuffix), removeFile(path+lockSuffix))
}

func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Policy says which artifacts are removed among those that nothing needs.
type Policy struct {
	// Keep is the size in bytes that all artifacts together may have.
	Keep int64
	// Unused is the time that a removed artifact was not used for at least.
	Unused time.Duration
}

// Choose returns what p wants removed of entries, which are sorted as List
// does, the first ones first. Those that needed reports are left.
func (p Policy) Choose(entries []Entry, needed func(Entry) bool, now time.Time) []Entry {
	var total int64
	for _, e := range entries {
		total += e.Size
	}
	var chosen []Entry
	for _, e := range entries {
		if total <= p.Keep {
			break
		}
		if needed(e) || now.Sub(e.Used) < p.Unused {
			continue
		}
		chosen = append(chosen, e)
		total -= e.Size
	}
	return chosen
}
