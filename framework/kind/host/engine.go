package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
)

// Engines are the container engines that kind works with, in the order in which
// they are tried.
var Engines = []string{"docker", "nerdctl", "podman"}

// Engine is the container engine that makes the nodes.
type Engine struct {
	Name     string // docker, nerdctl or podman
	Version  string
	Rootless bool
	CgroupV1 bool
	Err      error // why it cannot be used; the other fields but Name are empty then
}

// errAbsent says that no engine is installed.
var errAbsent = errors.New("not found")

// engine asks the given engine, or the first one that answers. If none does, the
// first that is installed is the one to mend.
func (m Machine) engine(ctx context.Context, only string) Engine {
	names := Engines
	if only != "" {
		names = []string{only}
	}
	failed := Engine{Name: only, Err: errAbsent}
	for _, name := range names {
		if _, err := m.LookPath(name); err != nil {
			continue
		}
		e := m.ask(ctx, name)
		if e.Err == nil {
			return e
		}
		if errors.Is(failed.Err, errAbsent) {
			failed = e
		}
	}
	return failed
}

// info is what docker and nerdctl, and podman in Host, say of themselves.
type info struct {
	ServerVersion   string
	ServerErrors    []string
	SecurityOptions []string
	CgroupVersion   string
	Host            *struct {
		CgroupVersion string `json:"cgroupVersion"`
		Security      struct {
			Rootless bool `json:"rootless"`
		} `json:"security"`
	} `json:"host"`
	Version struct {
		Version string `json:"Version"`
	} `json:"version"`
}

func (m Machine) ask(ctx context.Context, name string) Engine {
	stdout, stderr, err := m.Output(ctx, name, "info", "--format", "{{json .}}")
	var i info
	parseErr := json.Unmarshal([]byte(stdout), &i)
	switch {
	case parseErr == nil && len(i.ServerErrors) > 0:
		return Engine{Name: name, Err: errors.New(oneline.Of(strings.Join(i.ServerErrors, "; ")))}
	case err != nil:
		return Engine{Name: name, Err: errors.New(oneline.Of(cmp.Or(strings.TrimSpace(stderr), strings.TrimSpace(stdout), err.Error())))}
	case parseErr != nil:
		return Engine{Name: name, Err: fmt.Errorf("its answer cannot be read: %w", parseErr)}
	case i.Host != nil:
		return Engine{Name: name, Version: i.Version.Version, Rootless: i.Host.Security.Rootless, CgroupV1: i.Host.CgroupVersion == "v1"}
	}
	rootless := slices.ContainsFunc(i.SecurityOptions, func(o string) bool { return strings.Contains(o, "rootless") })
	return Engine{Name: name, Version: i.ServerVersion, Rootless: rootless, CgroupV1: i.CgroupVersion == "1"}
}
