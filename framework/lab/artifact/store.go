// Package artifact makes the parts of the lab that take long (programs, root
// filesystems, images, the node's disk) and keeps them in a directory of the
// user's, outside any checkout. An artifact is a directory whose name carries
// a digest of everything it was made from; it is made aside and renamed, so
// that a directory with that name is always whole.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/progress"
)

// ErrCache is wrapped by errors that say that the cache directory is of no use.
var ErrCache = errors.New("the cache cannot be used")

// Store is a directory of artifacts. What it has handed out stays there until
// it is closed.
type Store struct {
	dir      string
	progress progress.Writer
	work     work

	mu   sync.Mutex
	held map[string]*os.File // locked directories of artifacts, by path
}

// Open returns the store in dir, which is created when it is missing. What an
// interrupted build left there is removed.
func Open(dir string, progress progress.Writer) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: directory %s: %w; name a writable one with CACHE_DIR", ErrCache, dir, err)
	}
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return nil, fmt.Errorf("%w: directory %s is not writable: %w; name a writable one with CACHE_DIR", ErrCache, dir, err)
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return nil, fmt.Errorf("cache directory %s: %w", dir, err)
	}
	s := &Store{dir: dir, progress: progress, held: map[string]*os.File{}}
	return s, s.sweep()
}

// Close lets go of all artifacts.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for path, f := range s.held {
		errs = append(errs, f.Close())
		delete(s.held, path)
	}
	return errors.Join(errs...)
}

// Free returns the number of bytes that the user may still write to the store.
func (s *Store) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", s.dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Key collects what an artifact is made from.
type Key struct{ parts []string }

// Add adds a value under a name.
func (k *Key) Add(name string, values ...string) {
	k.parts = append(k.parts, fmt.Sprintf("%s=%q", name, values))
}

// AddTree adds the names and contents of all files below dir, also of those
// that are links, but not of Go's tests.
func (k *Key) AddTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&^fs.ModeSymlink != 0 || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		k.Add("file", rel, hex.EncodeToString(sum[:]))
		return nil
	})
}

func (k *Key) digest() string {
	parts := append([]string(nil), k.parts...)
	sort.Strings(parts)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:8])
}

// Artifact is one thing that the store can hold.
type Artifact struct {
	// Name is a file name, such as "etcd".
	Name string
	// Key is what it is made from.
	Key Key
	// Make writes it into the directory dir, and its tool's output to log.
	Make func(ctx context.Context, dir string, log io.Writer) error
}

// Path returns where a is or will be.
func (s *Store) Path(a Artifact) string {
	return filepath.Join(s.dir, a.Name+"-"+a.Key.digest())
}

// Get returns the directory of a, and makes a first if it is missing. Of two
// processes that want the same artifact one waits for the other.
func (s *Store) Get(ctx context.Context, a Artifact) (string, error) {
	path := s.Path(a)
	lock, err := lockFile(ctx, path+lockSuffix)
	if err != nil {
		return "", fmt.Errorf("%s: %w", a.Name, err)
	}
	defer lock.Close()
	if held, err := s.hold(lock, path); held || err != nil {
		return path, err
	}
	start := time.Now()
	fmt.Fprintf(s.progress, "  %-28s making%s\n", a.Name, s.work.begin(a.Name, path+logSuffix))
	err = s.make(ctx, a, path)
	s.work.end(path + logSuffix)
	if err != nil {
		return "", err
	}
	size, err := sizeOf(path)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(s.progress, "  %-28s made in %.0fs, %d MiB\n", a.Name, time.Since(start).Seconds(), size>>20)
	_, err = s.hold(lock, path)
	return path, err
}

func (s *Store) make(ctx context.Context, a Artifact, path string) (err error) {
	aside := asidePath(path)
	logPath := path + logSuffix
	// Root filesystems have programs that run as their owner for everybody.
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", a.Name, err)
	}
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("make %s: %w", a.Name, err)
	}
	defer log.Close()
	if err := a.Make(ctx, aside, log); err != nil {
		err = fmt.Errorf("make %s: %w; its output is in %s and ends with:\n%s", a.Name, s.full(err), logPath, tail(logPath, 15))
		return errors.Join(err, os.RemoveAll(aside))
	}
	if err := publish(aside, path); err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", a.Name, s.full(err)), os.RemoveAll(aside))
	}
	return nil
}

// fullBelow is the number of bytes that a file system has left when a tool has
// failed because it is full. The tools say so in words of their own.
const fullBelow = 1 << 20

// full says of an error that the file system of the store is full, if it is.
func (s *Store) full(err error) error {
	free, statErr := s.Free()
	if statErr != nil || free >= fullBelow && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	return fmt.Errorf("%w: directory %s has %d KiB left: free some, or name another with CACHE_DIR: %w", ErrCache, s.dir, free>>10, err)
}

// asidePath is where this process makes what will be at path, and where it
// puts that to remove it.
func asidePath(path string) string { return fmt.Sprintf("%s.making-%d", path, os.Getpid()) }

// sweep removes what processes that are no longer alive had aside.
func (s *Store) sweep() error {
	asides, err := filepath.Glob(filepath.Join(s.dir, "*.making-*"))
	if err != nil {
		return err
	}
	for _, aside := range asides {
		var pid int
		if _, err := fmt.Sscanf(aside[strings.LastIndex(aside, "-")+1:], "%d", &pid); err != nil {
			continue
		}
		if unix.Kill(pid, 0) == unix.ESRCH {
			if err := os.RemoveAll(aside); err != nil {
				return fmt.Errorf("remove what an interrupted build left: %w", err)
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
