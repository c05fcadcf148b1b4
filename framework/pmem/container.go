// Package pmem tells the truth about the volume under memcached: how it is mounted, what the memory
// file is, whether the process maps it, and what the driver holds on the node.
package pmem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pmem-memcached-e2e/framework/cluster"
)

// An Execer runs commands in containers; *cluster.Cluster is one.
type Execer interface {
	Exec(ctx context.Context, namespace, pod, container string, command ...string) (cluster.ExecResult, error)
}

// run executes a command that has to end with exit code 0, and returns its output.
func run(ctx context.Context, e Execer, namespace, pod, container string, command ...string) (string, error) {
	result, err := e.Exec(ctx, namespace, pod, container, command...)
	if err != nil {
		return "", err
	}
	if result.ExitCode != 0 {
		return "", exitError(namespace, pod, container, command, result)
	}
	return result.Stdout, nil
}

func exitError(namespace, pod, container string, command []string, result cluster.ExecResult) error {
	return fmt.Errorf("%q in container %s of pod %s/%s ended with exit code %d: %s", strings.Join(command, " "),
		container, namespace, pod, result.ExitCode, strings.TrimSpace(result.Stderr))
}

// MountOf returns the mount of the container that holds path: the deepest one, and of several over
// each other the uppermost.
func MountOf(ctx context.Context, e Execer, namespace, pod, container, path string) (Mount, error) {
	text, err := run(ctx, e, namespace, pod, container, "cat", "/proc/self/mountinfo")
	if err != nil {
		return Mount{}, err
	}
	m, err := parseMountOf(text, path)
	if err != nil {
		return Mount{}, fmt.Errorf("mounts of container %s of pod %s/%s: %w", container, namespace, pod, err)
	}
	return m, nil
}

func parseMountOf(text, path string) (Mount, error) {
	mounts, err := ParseMountinfo(text)
	if err != nil {
		return Mount{}, err
	}
	m, ok := holding(mounts, path)
	if !ok {
		return Mount{}, fmt.Errorf("none holds %s", path)
	}
	return m, nil
}

// A MemoryFile is the file that memcached keeps its items in.
type MemoryFile struct {
	Path      string
	Size      int64 // bytes
	Allocated int64 // bytes that are backed by blocks
	Owner     string
	UID, GID  int
	Mode      uint32 // permission bits
}

// What stat(1) is to print, see parseStat and parseStatfs.
const (
	statFormat   = "%s %b %B %u %g %a %U"
	statfsFormat = "%S %b %f %a %T"
)

// StatMemoryFile returns the facts about a file, following symbolic links.
func StatMemoryFile(ctx context.Context, e Execer, namespace, pod, container, path string) (MemoryFile, error) {
	text, err := run(ctx, e, namespace, pod, container, "stat", "-L", "-c", statFormat, "--", path)
	if err != nil {
		return MemoryFile{}, err
	}
	f, err := parseStat(text)
	if err != nil {
		return MemoryFile{}, fmt.Errorf("stat of %s in pod %s/%s: %w", path, namespace, pod, err)
	}
	f.Path = path
	return f, nil
}

func parseStat(text string) (MemoryFile, error) {
	var f MemoryFile
	var blocks, blockSize int64
	if _, err := fmt.Sscanf(text, "%d %d %d %d %d %o %s", &f.Size, &blocks, &blockSize, &f.UID, &f.GID, &f.Mode, &f.Owner); err != nil {
		return MemoryFile{}, fmt.Errorf("unexpected output %q: %w", text, err)
	}
	f.Allocated = blocks * blockSize
	return f, nil
}

// A Filesystem is what statfs tells, in bytes.
type Filesystem struct {
	Type      string // as stat(1) names it, such as ext2/ext3 or xfs
	BlockSize int64
	Size      int64
	Free      int64
	Available int64 // to users other than root
}

// A Placement is where a file lies.
type Placement struct {
	File       MemoryFile
	Filesystem Filesystem
	Mount      Mount
}

// PlacementOf returns what StatMemoryFile and MountOf do, and the facts about the filesystem, by one command.
func PlacementOf(ctx context.Context, e Execer, namespace, pod, container, path string) (Placement, error) {
	text, err := run(ctx, e, namespace, pod, container, "sh", "-c",
		`stat -L -c "$2" -- "$1" && stat -f -c "$3" -- "$1" && cat /proc/self/mountinfo`, "sh", path, statFormat, statfsFormat)
	if err != nil {
		return Placement{}, err
	}
	file, rest, _ := strings.Cut(text, "\n")
	filesystem, mounts, _ := strings.Cut(rest, "\n")
	var p Placement
	var errs [3]error
	p.File, errs[0] = parseStat(file)
	p.Filesystem, errs[1] = parseStatfs(filesystem)
	p.Mount, errs[2] = parseMountOf(mounts, path)
	p.File.Path = path
	if err := errors.Join(errs[:]...); err != nil {
		return Placement{}, fmt.Errorf("where %s lies in container %s of pod %s/%s: %w", path, container, namespace, pod, err)
	}
	return p, nil
}

func parseStatfs(text string) (Filesystem, error) {
	var fs Filesystem
	if _, err := fmt.Sscanf(text, "%d %d %d %d %s", &fs.BlockSize, &fs.Size, &fs.Free, &fs.Available, &fs.Type); err != nil {
		return Filesystem{}, fmt.Errorf("unexpected output %q: %w", text, err)
	}
	fs.Size *= fs.BlockSize
	fs.Free *= fs.BlockSize
	fs.Available *= fs.BlockSize
	return fs, nil
}

// Exists reports whether path exists in the container, as seen by its user.
func Exists(ctx context.Context, e Execer, namespace, pod, container, path string) (bool, error) {
	return yesOrNo(ctx, e, namespace, pod, container, "test", "-e", path)
}

// Contains reports whether the bytes of needle occur in the file. They can be those of an item that
// was deleted or has expired since.
func Contains(ctx context.Context, e Execer, namespace, pod, container, path, needle string) (bool, error) {
	if needle == "" || strings.ContainsAny(needle, "\n\x00") {
		return false, fmt.Errorf("searching %s for %q: want at least one byte, and neither line feed nor NUL", path, needle)
	}
	return yesOrNo(ctx, e, namespace, pod, container, "env", "LC_ALL=C", "grep", "-F", "-q", "-e", needle, "--", path)
}

// yesOrNo runs a command that answers by exit code 0 or 1; every other is an error.
func yesOrNo(ctx context.Context, e Execer, namespace, pod, container string, command ...string) (bool, error) {
	result, err := e.Exec(ctx, namespace, pod, container, command...)
	switch {
	case err != nil:
		return false, err
	case result.ExitCode == 0:
		return true, nil
	case result.ExitCode == 1:
		return false, nil
	}
	return false, exitError(namespace, pod, container, command, result)
}

// A Process is one in a container.
type Process struct {
	PID  int // in the container's PID namespace
	UID  int
	Args []string
}

// findByName prints id and owner of each process whose name is the first argument, in one line, and the arguments of the
// last of them, each with a NUL at its end. A process may end meanwhile.
const findByName = `found= last=
for d in /proc/[0-9]*; do
	if read -r name 2>/dev/null <"$d/comm" && [ "$name" = "$1" ] && uid=$(stat -c %u "$d" 2>/dev/null); then
		last=$d found="$found ${d#/proc/} $uid"
	fi
done
echo "$found"
[ -z "$last" ] || cat "$last/cmdline"`

// FindProcess returns the only process in the container with the given name, as in /proc/PID/comm.
func FindProcess(ctx context.Context, e Execer, namespace, pod, container, name string) (Process, error) {
	fail := func(err error) (Process, error) {
		return Process{}, fmt.Errorf("process %s in container %s of pod %s/%s: %w", name, container, namespace, pod, err)
	}
	text, err := run(ctx, e, namespace, pod, container, "sh", "-c", findByName, "sh", name)
	if err != nil {
		return fail(err)
	}
	found, args, _ := strings.Cut(text, "\n")
	numbers := strings.Fields(found)
	if len(numbers) != 2 {
		return fail(fmt.Errorf("%d processes have this name, want 1", len(numbers)/2))
	}
	p := Process{Args: strings.Split(strings.TrimSuffix(args, "\x00"), "\x00")}
	var errs [2]error
	p.PID, errs[0] = strconv.Atoi(numbers[0])
	p.UID, errs[1] = strconv.Atoi(numbers[1])
	if err := errors.Join(errs[:]...); err != nil {
		return fail(err)
	}
	return p, nil
}

// MemoryFile returns the path that memcached was given by -e or --memory-file.
func (p Process) MemoryFile() (path string, ok bool) {
	for i, arg := range p.Args {
		if value, found := strings.CutPrefix(arg, "--memory-file="); found {
			return value, true
		}
		if (arg == "--memory-file" || arg == "-e") && i+1 < len(p.Args) {
			return p.Args[i+1], true
		}
		if value, found := strings.CutPrefix(arg, "-e"); found && value != "" {
			return value, true
		}
	}
	return "", false
}

// ErrUnreadable reports that the kernel does not let the container's user see the mappings of a process.
var ErrUnreadable = errors.New("the mappings of the process cannot be read")

// Mappings returns the memory mappings of a process in the container. The error is ErrUnreadable when
// the container's user may not read them.
func Mappings(ctx context.Context, e Execer, namespace, pod, container string, pid int) ([]Mapping, error) {
	path := fmt.Sprintf("/proc/%d/maps", pid)
	result, err := e.Exec(ctx, namespace, pod, container, "cat", path)
	if err != nil {
		return nil, err
	}
	// Every process that is alive has mappings.
	if result.ExitCode != 0 || result.Stdout == "" {
		return nil, fmt.Errorf("%s in container %s of pod %s/%s: %w: %s", path, container, namespace, pod, ErrUnreadable, strings.TrimSpace(result.Stderr))
	}
	mappings, err := ParseMaps(result.Stdout)
	if err != nil {
		return nil, fmt.Errorf("%s in container %s of pod %s/%s: %w", path, container, namespace, pod, err)
	}
	return mappings, nil
}

// Maps reports whether the file at path is mapped shared and writable by the process.
func Maps(ctx context.Context, e Execer, namespace, pod, container string, pid int, path string) (bool, error) {
	mappings, err := Mappings(ctx, e, namespace, pod, container, pid)
	if err != nil {
		return false, err
	}
	for _, m := range mappings {
		if m.Path == path && !m.Deleted && strings.HasPrefix(m.Perms, "rw") && strings.HasSuffix(m.Perms, "s") {
			return true, nil
		}
	}
	return false, nil
}
