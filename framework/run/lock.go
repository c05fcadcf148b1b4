package run

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile is in a report directory while a run has it.
const lockFile = ".lock"

// lock keeps two runs from using what, such as one report directory. The file
// at path names the run that has it; it ends with the run, however that ends.
// A directory that is made for it has permission perm.
func lock(path, what string, perm os.FileMode) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), perm); err != nil {
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	// The file is removed while it is locked: who locks one that is no longer
	// at path came too late as well.
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || !at(path, f) {
		holder, _ := io.ReadAll(io.NewSectionReader(f, 0, 4096))
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another run (%s): wait for its end", what, strings.TrimSpace(string(holder)))
	}
	unlock = func() {
		_ = os.Remove(path)
		_ = f.Close()
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "pid %d, started %s: %s\n", os.Getpid(), time.Now().Format(time.DateTime), strings.Join(os.Args, " "))
	}
	if err != nil {
		unlock()
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	return unlock, nil
}

func at(path string, f *os.File) bool {
	named, err := os.Stat(path)
	open, openErr := f.Stat()
	return err == nil && openErr == nil && os.SameFile(named, open)
}
