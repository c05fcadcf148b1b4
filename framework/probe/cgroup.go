package probe

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
// version 2 reports it.
func MemoryOf(ctx context.Context, e Execer, namespace, pod, container string) (ControlGroup, error) {
	text, err := Output(ctx, e, namespace, pod, container, "sh", "-c",
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
