package deploy

import (
	"context"
	"path"
	"slices"
	"strings"
)

// ListsArgs reports whether memcached gets its arguments as a list in the manifest: nothing there mentions the
// variable MEMCACHED_ARGS, and the container has arguments, or runs what its image runs or memcached itself.
func (m *Manifest) ListsArgs() bool {
	_, c := m.Container()
	if _, has := m.Env(ArgsVariable); has || m.Mentions(ArgsVariable) {
		return false
	}
	return len(c.Args) > 0 || len(c.Command) == 0 || path.Base(c.Command[0]) == "memcached"
}

// JoinArgs puts further arguments for memcached after those that are given.
func JoinArgs(given, more string) string { return strings.TrimSpace(given + " " + more) }

// AddArgs gives memcached further arguments in the workload's template, after those of the manifest, by the
// variable MEMCACHED_ARGS as kubectl set env does, or in the list in which it has its arguments. It waits until the
// pods that follow from it are Ready.
func (d *Deployment) AddArgs(ctx context.Context, more string) error {
	if d.ListsArgs() {
		_, c := d.Container()
		return d.patchContainer(ctx, "adding arguments", "args", slices.Concat(c.Args, strings.Fields(more)))
	}
	// A literal value takes the place of a reference to a ConfigMap or a Secret.
	env := map[string]any{"name": ArgsVariable, "value": JoinArgs(d.MemcachedArgs(), more), "valueFrom": nil}
	return d.patchContainer(ctx, "setting MEMCACHED_ARGS", "env", []any{env})
}
