package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lockfile"
)

// lockFile is in a report directory while a run has it.
const lockFile = ".lock"

// Lock keeps two runs from using what, such as one report directory. The file
// at path names the run that has it; it ends with the run, however that ends.
// A directory that is made for it has permission perm.
func Lock(path, what string, perm os.FileMode) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), perm); err != nil {
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	unlock, err = lockfile.Hold(path, 0o644, fmt.Sprintf("pid %d, started %s: %s", os.Getpid(), time.Now().Format(time.DateTime), strings.Join(os.Args, " ")))
	if held, ok := errors.AsType[*lockfile.HeldError](err); ok {
		return nil, fmt.Errorf("%s is in use by another run (%s): wait for its end", what, held.Holder)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	return unlock, nil
}
