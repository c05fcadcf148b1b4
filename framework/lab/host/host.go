// Package host finds out what this machine and its user give a lab: programs,
// memory, room for files, and permissions.
package host

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrUnfit is wrapped by errors that say that this host cannot run a lab.
var ErrUnfit = errors.New("this host cannot run a lab")

// tools are the programs of this host that a lab calls, those that only make its parts aside.
var tools = []string{"qemu-img", "ip", "mke2fs", "tar"}

// CheckTools finds out whether the programs that every lab calls are there.
func CheckTools() error {
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %w; make packages installs what is missing", ErrUnfit, err)
		}
	}
	return nil
}

// AvailableMemory returns the kernel's estimate in MiB (proc(5), MemAvailable).
func AvailableMemory() (int, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
			var kib int
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				return 0, fmt.Errorf("/proc/meminfo: %q: %w", s.Text(), err)
			}
			return kib >> 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
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

// WithRoom returns the first of the directories, which need not be there yet,
// that has room for so many bytes next to it; empty if there is none. lacking
// is why those before it are not taken.
func WithRoom(need int64, dirs ...string) (dir string, lacking error) {
	var reasons []error
	for _, dir := range dirs {
		free, err := free(filepath.Dir(dir))
		switch {
		case err != nil:
			reasons = append(reasons, err)
		case free < need:
			reasons = append(reasons, fmt.Errorf("%s has %d MiB left", filepath.Dir(dir), free>>20))
		default:
			return dir, errors.Join(reasons...)
		}
	}
	return "", errors.Join(reasons...)
}
