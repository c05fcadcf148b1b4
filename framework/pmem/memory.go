package pmem

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// ControlGroup is the memory that the kernel charges to a container; sizes in
// bytes. Documentation: Control Group v2, Memory Interface Files.
type ControlGroup struct {
	Limit     int64 // 0: none
	Current   int64 // all that is charged
	Anonymous int64
	File      int64 // page cache, tmpfs included
	Kills     int64 // processes ended because the limit was reached
}

// MemoryOf returns what is charged to a container, as its control group of
// version 2 tells it.
func MemoryOf(ctx context.Context, e Execer, namespace, pod, container string) (ControlGroup, error) {
	text, err := run(ctx, e, namespace, pod, container, "sh", "-c",
		"cd /sys/fs/cgroup && grep . memory.max memory.current memory.events memory.stat")
	if err != nil {
		return ControlGroup{}, err
	}
	g, err := parseControlGroup(text)
	if err != nil {
		return ControlGroup{}, fmt.Errorf("memory of container %s of pod %s/%s: %w", container, namespace, pod, err)
	}
	return g, nil
}

// parseControlGroup reads lines of a file's name, a colon and a line of it.
func parseControlGroup(text string) (ControlGroup, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		file, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name, value, ok := strings.Cut(rest, " "); ok {
			values[file+":"+name] = value
		} else {
			values[file] = rest
		}
	}
	var g ControlGroup
	for _, part := range []struct {
		name string
		to   *int64
	}{
		{"memory.max", &g.Limit}, {"memory.current", &g.Current}, {"memory.events:oom_kill", &g.Kills},
		{"memory.stat:anon", &g.Anonymous}, {"memory.stat:file", &g.File},
	} {
		value, err := strconv.ParseInt(values[part.name], 10, 64)
		if err != nil && values[part.name] != "max" {
			return ControlGroup{}, fmt.Errorf("%s is %q, want a number", part.name, values[part.name])
		}
		*part.to = value
	}
	return g, nil
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
