package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/topology"
)

// sharedMemory is the host's file system in memory.
const sharedMemory = "/dev/shm"

// pmemFile returns the file that a node's persistent memory is.
func (l *Lab) pmemFile(n topology.Node) string { return pmemFile(l.plan.Memory, n) }

func pmemFile(dir string, n topology.Node) string { return filepath.Join(dir, n.Name()+".pmem") }

// chooseMemory takes the host's memory for the files with the nodes' persistent
// memory, or its disk where that file system is too small, as it is in many
// containers. While a snapshot is taken, main memory is in files, too.
func (l *Lab) chooseMemory(context.Context) error {
	each := l.plan.memoryFile()
	if l.opts.Snapshot {
		each += nodeDRAM
	}
	need := int64(l.plan.Nodes) * int64(each) << 20
	onDisk := l.dir.Path("memory")
	var found []error
	for _, dir := range []string{l.memory, onDisk} {
		free, err := host.Free(filepath.Dir(dir))
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
			return nil
		}
	}
	return fmt.Errorf("%w: no room for %d MiB of memory in files: %w; choose fewer nodes with LAB_NODES or less persistent memory with LAB_PMEM", ErrHost, need>>20, errors.Join(found...))
}

// makeMemory makes the files, which take no room until they are written to.
func (l *Lab) makeMemory() error {
	if err := private.MakeDir(l.plan.Memory); err != nil {
		return fmt.Errorf("memory of the nodes: %w", err)
	}
	for _, n := range l.plan.nodes() {
		if err := makeSparse(l.pmemFile(n), l.plan.memoryFile()); err != nil {
			return fmt.Errorf("persistent memory of %s: %w", n.Name(), err)
		}
		if l.main.dir == "" {
			continue
		}
		if err := makeSparse(l.main.file(n), nodeDRAM); err != nil {
			return fmt.Errorf("main memory of %s: %w", n.Name(), err)
		}
	}
	return nil
}

func makeSparse(path string, mib int) error {
	if err := private.WriteFile(path, nil); err != nil {
		return err
	}
	return os.Truncate(path, int64(mib)<<20)
}
