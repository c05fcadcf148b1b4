package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

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
	text, err := Output(ctx, e, namespace, pod, container, "stat", "-L", "-c", statFormat, "--", path)
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

// A Filesystem is what statfs reports, in bytes.
type Filesystem struct {
	Type      string // as stat(1) names it, such as ext2/ext3 or xfs
	BlockSize int64
	Size      int64
	Free      int64
	Available int64 // to users other than root
}

// Usable is what users other than root can take of the filesystem as a whole, whatever is in it.
func (f Filesystem) Usable() int64 { return f.Size - (f.Free - f.Available) }

// A Placement is where a file lies.
type Placement struct {
	File       MemoryFile
	Filesystem Filesystem
	Mount      Mount
}

// PlacementOf returns what StatMemoryFile and MountOf do, and the facts about the filesystem, by one command.
func PlacementOf(ctx context.Context, e Execer, namespace, pod, container, path string) (Placement, error) {
	text, err := Output(ctx, e, namespace, pod, container, "sh", "-c",
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

// searchScript searches the file $1 for $2. Of one with more than twice $3 bytes it reads as many at the beginning and at the
// end, and says so: memcached stores its first items in the pages that it takes first for each class, and the next ones
// in those that it has taken last.
const searchScript = `size=$(stat -L -c %s -- "$1") || exit 2
if [ "$size" -le "$(($3 * 2))" ]; then
	LC_ALL=C exec grep -F -q -e "$2" -- "$1"
fi
echo "$size"
{ head -c "$3" -- "$1"; tail -c "$3" -- "$1"; } 2>/dev/null | LC_ALL=C grep -F -q -e "$2"`

// A Search is the result of looking for bytes in a file.
type Search struct {
	Found bool
	Whole bool  // the whole file was read
	Size  int64 // of the file, if it was not
}

// Find looks for the bytes of needle in the file, of which it reads not much more than twice bound. They can be those of an item that
// was deleted or has expired since.
func Find(ctx context.Context, e Execer, namespace, pod, container, path, needle string, bound int64) (Search, error) {
	if needle == "" || strings.ContainsAny(needle, "\n\x00") {
		return Search{}, fmt.Errorf("searching %s for %q: want at least one byte, and neither line feed nor NUL", path, needle)
	}
	command := []string{"sh", "-c", searchScript, "sh", path, needle, strconv.FormatInt(bound, 10)}
	result, err := read(ctx, e, namespace, pod, container, command...)
	if err != nil {
		return Search{}, err
	}
	if result.ExitCode > 1 {
		return Search{}, ExitError(namespace, pod, container, []string{"grep"}, result)
	}
	s := Search{Found: result.ExitCode == 0, Whole: result.Stdout == ""}
	if !s.Whole {
		if s.Size, err = strconv.ParseInt(strings.TrimSpace(result.Stdout), 10, 64); err != nil {
			return Search{}, fmt.Errorf("searching %s: unexpected output %q", path, result.Stdout)
		}
	}
	return s, nil
}
