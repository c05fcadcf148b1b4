package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// sharedMemory is the host's file system in memory.
const sharedMemory = "/dev/shm"

// pmemFile returns the file that a node's persistent memory is.
func (l *Lab) pmemFile(n node) string { return filepath.Join(l.plan.Memory, n.name()+".pmem") }

// choosePMEM takes the host's memory for the files with the nodes' persistent
// memory, or its disk where that file system is too small, as it is in many
// containers.
func (l *Lab) choosePMEM(context.Context) error {
	need := int64(l.plan.Nodes) * int64(l.plan.PMEM) << 20
	onDisk := l.path("memory")
	var found []error
	for _, dir := range []string{l.memory, onDisk} {
		free, err := free(filepath.Dir(dir))
		switch {
		case err != nil:
			found = append(found, err)
		case free < need:
			found = append(found, fmt.Errorf("%s has %d MiB left", filepath.Dir(dir), free>>20))
		default:
			l.plan.Memory = dir
			if dir == onDisk {
				fmt.Fprintf(l.progress, "lab keeps persistent memory on disk: %v\n", errors.Join(found...))
			}
			return l.makePMEM()
		}
	}
	return fmt.Errorf("%w: no room for %d MiB of persistent memory: %w; choose fewer nodes with LAB_NODES or less of it with LAB_PMEM", ErrHost, need>>20, errors.Join(found...))
}

// makePMEM makes the files, which take no room until they are written to.
func (l *Lab) makePMEM() error {
	if err := makeOwn(l.plan.Memory); err != nil {
		return fmt.Errorf("persistent memory: %w", err)
	}
	for _, n := range l.plan.nodes() {
		path := l.pmemFile(n)
		if err := writeFile(path, nil); err != nil {
			return fmt.Errorf("persistent memory of %s: %w", n.name(), err)
		}
		if err := os.Truncate(path, int64(l.plan.PMEM)<<20); err != nil {
			return fmt.Errorf("persistent memory of %s: %w", n.name(), err)
		}
	}
	return nil
}

// free returns the bytes that may still be written below dir, or below what
// there is of the directories above it.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	for ; errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir); err = unix.Statfs(dir, &st) {
		dir = filepath.Dir(dir)
	}
	if err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}
