package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Mapping is a line of /proc/PID/maps, proc_pid_maps(5).
type Mapping struct {
	Start, End uint64
	Perms      string // such as rw-s
	Offset     uint64
	Device     string // major:minor, in hexadecimal
	Inode      uint64
	Path       string
	Deleted    bool // the file was removed since
}

// ParseMaps reads the text of /proc/PID/maps.
func ParseMaps(text string) ([]Mapping, error) {
	var mappings []Mapping
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		var m Mapping
		if _, err := fmt.Sscanf(line, "%x-%x %s %x %s %d", &m.Start, &m.End, &m.Perms, &m.Offset, &m.Device, &m.Inode); err != nil {
			return nil, fmt.Errorf("maps: unexpected line %q: %w", line, err)
		}
		if fields := strings.SplitN(line, " ", 6); len(fields) == 6 {
			m.Path = strings.TrimLeft(fields[5], " ")
		}
		m.Path, m.Deleted = strings.CutSuffix(m.Path, " (deleted)")
		mappings = append(mappings, m)
	}
	return mappings, nil
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

// Residence is a mapping of a process and how much of it takes memory; sizes
// in bytes. Pages of persistent memory need not be among them.
type Residence struct {
	Mapping
	Anonymous int64
}

// Residences returns the mappings of a process with what of them takes memory.
// The error is ErrUnreadable when the container's user may not read them.
func Residences(ctx context.Context, e Execer, namespace, pod, container string, pid int) ([]Residence, error) {
	path := fmt.Sprintf("/proc/%d/smaps", pid)
	result, err := e.Exec(ctx, namespace, pod, container, "cat", path)
	if err != nil {
		return nil, err
	}
	if result.ExitCode != 0 || result.Stdout == "" {
		return nil, fmt.Errorf("%s in container %s of pod %s/%s: %w: %s", path, container, namespace, pod, ErrUnreadable, strings.TrimSpace(result.Stderr))
	}
	residences, err := parseSmaps(result.Stdout)
	if err != nil {
		return nil, fmt.Errorf("%s in container %s of pod %s/%s: %w", path, container, namespace, pod, err)
	}
	return residences, nil
}

// parseSmaps reads mappings as in /proc/PID/maps, each followed by lines of a
// name, a colon and a value, proc_pid_smaps(5).
func parseSmaps(text string) ([]Residence, error) {
	var all []Residence
	for line := range strings.Lines(text) {
		first, _, _ := strings.Cut(line, " ")
		name, isField := strings.CutSuffix(first, ":")
		if !isField {
			mappings, err := ParseMaps(line)
			if err != nil {
				return nil, err
			}
			for _, m := range mappings {
				all = append(all, Residence{Mapping: m})
			}
			continue
		}
		if name != "Anonymous" {
			continue
		}
		var kib int64
		if _, err := fmt.Sscanf(line, "Anonymous: %d kB", &kib); err != nil || len(all) == 0 {
			return nil, fmt.Errorf("smaps: unexpected line %q", line)
		}
		all[len(all)-1].Anonymous = kib << 10
	}
	return all, nil
}
