package leak

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

// made builds a snapshot of items whose parts were all read, with unread as what was not.
func made(items map[key]item, unread ...Gap) Snapshot {
	s := Snapshot{items: map[key]item{}, read: sets.New[part](), Unread: unread}
	for _, p := range []part{pods, classes, volumes, mounts, groups, metric} {
		s.read.Insert(p)
	}
	for k, i := range items {
		s.items[k] = i
	}
	for _, g := range unread {
		for p := range s.read {
			if p.view == g.View && p.where == g.Where && (p.name == g.Part || g.Part == "") {
				s.read.Delete(p)
			}
		}
	}
	return s
}

var (
	pods    = listed("pods")
	classes = listed("storageclasses")
	volumes = part{Node, "node-1", "logical volumes"}
	mounts  = part{Node, "node-1", "mounts"}
	groups  = part{Capacity, "node-1", "volume groups"}
	metric  = part{Capacity, "node-1", "the driver's metric"}
)

func pod(ns, name string) (key, item) {
	return key{API, ns, "Pod " + name}, item{part: pods, owner: ns, inside: true, detail: "created yesterday"}
}

func class(name string) (key, item) {
	return key{API, "cluster", "StorageClass " + name}, item{part: classes}
}

func volume(name, owner string) (key, item) {
	return key{Node, "node-1", "logical volume vg/" + name}, item{part: volumes, owner: owner, dying: owner == "", detail: "200 MiB"}
}

func free(bytes int64) (key, item) {
	return key{Capacity, "node-1", "free in volume group vg"}, item{part: groups, bytes: bytes, detail: size(bytes)}
}

func with(pairs ...func(map[key]item)) map[key]item {
	items := map[key]item{}
	for _, add := range pairs {
		add(items)
	}
	return items
}

func is(k key, i item) func(map[key]item) { return func(items map[key]item) { items[k] = i } }

func lines(leaks []report.Leak) []string {
	var lines []string
	for _, l := range leaks {
		lines = append(lines, Line(l))
	}
	return lines
}

func TestDiff(t *testing.T) {
	ours := []string{"e2e-1", "e2e-2"}
	lab := Scope{Namespaces: ours, Exclusive: true}
	shared := Scope{Namespaces: ours}
	parallel := Scope{Namespaces: ours, Owned: true}
	broken := Gap{Node, "node-1", "", "no PMEM-CSI pod is Ready", false}
	for _, test := range []struct {
		name          string
		before, after Snapshot
		lab, shared   []string
		orphans       bool // shared counts them, next to other parts of the run nobody does
	}{
		{name: "nothing", before: made(nil), after: made(nil)},
		{
			name:   "what was there before",
			before: made(with(is(pod("e2e-1", "a")), is(volume("v", "")), is(free(5)))),
			after:  made(with(is(pod("e2e-1", "a")), is(volume("v", "")), is(free(5)))),
		},
		{
			name:   "an object in a namespace of the run",
			before: made(nil), after: made(with(is(pod("e2e-1", "a")))),
			lab:    []string{"api: e2e-1: Pod a (created yesterday)"},
			shared: []string{"api: e2e-1: Pod a (created yesterday)"},
		},
		{
			name:   "an object in another namespace",
			before: made(nil), after: made(with(is(pod("other", "a")))),
			lab: []string{"api: other: Pod a (created yesterday)"},
		},
		{
			name:   "an object that belongs to nobody known",
			before: made(nil), after: made(with(is(class("fast")))),
			lab: []string{"api: cluster: StorageClass fast"},
		},
		{
			name:   "a volume of the run",
			before: made(nil), after: made(with(is(volume("v", "e2e-2")))),
			lab:    []string{"node: node-1: logical volume vg/v (200 MiB)"},
			shared: []string{"node: node-1: logical volume vg/v (200 MiB)"},
		},
		{
			name:   "a volume of no object",
			before: made(nil), after: made(with(is(volume("v", "")))),
			lab:    []string{"node: node-1: logical volume vg/v (200 MiB)"},
			shared: []string{"node: node-1: logical volume vg/v (200 MiB)"}, orphans: true,
		},
		{
			name:   "a volume of somebody else",
			before: made(nil), after: made(with(is(volume("v", "other")))),
			lab: []string{"node: node-1: logical volume vg/v (200 MiB)"},
		},
		{
			name:   "missing since",
			before: made(with(is(class("fast")), is(pod("other", "a")), is(volume("v", "other")))), after: made(nil),
			lab: []string{
				"api: cluster: StorageClass fast (missing since)",
				"api: other: Pod a (missing since; it was created yesterday)",
				"node: node-1: logical volume vg/v (missing since; it was 200 MiB)",
			},
		},
		{
			name:   "what the run itself removed, or what was about to go",
			before: made(with(is(pod("e2e-1", "a")), is(volume("v", "e2e-1")), is(volume("w", "")))), after: made(nil),
		},
		{
			name:   "less capacity",
			before: made(with(is(free(2 << 30)))), after: made(with(is(free(2<<30 - 200<<20)))),
			lab: []string{"capacity: node-1: free in volume group vg (200 MiB less than before: 1.8 GiB of 2 GiB)"},
		},
		{
			name:   "more capacity",
			before: made(with(is(free(1)))), after: made(with(is(free(2)))),
		},
		{
			name:   "capacity of something new",
			before: made(nil), after: made(with(is(free(2)))),
		},
		{
			name:   "capacity that is no longer reported",
			before: made(with(is(free(2 << 20)))), after: made(nil),
			lab: []string{"capacity: node-1: free in volume group vg (missing since; it was 2 MiB)"},
		},
		{
			name:   "a view that was unread before",
			before: made(nil, broken), after: made(with(is(volume("v", "e2e-1")), is(pod("e2e-1", "a")))),
			lab:    []string{"api: e2e-1: Pod a (created yesterday)"},
			shared: []string{"api: e2e-1: Pod a (created yesterday)"},
		},
		{
			name:   "a view that is unread after",
			before: made(with(is(volume("v", "other")), is(class("fast")))), after: made(nil, broken, Gap{API, "cluster", "storageclasses", "forbidden", false}),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(Diff(test.before, test.after, lab)); !slices.Equal(got, test.lab) {
				t.Errorf("exclusive:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.lab, "\n"))
			}
			if got := lines(Diff(test.before, test.after, shared)); !slices.Equal(got, test.shared) {
				t.Errorf("shared:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.shared, "\n"))
			}
			owned := test.shared
			if test.orphans {
				owned = nil
			}
			if got := lines(Diff(test.before, test.after, parallel)); !slices.Equal(got, owned) {
				t.Errorf("next to other specs:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(owned, "\n"))
			}
		})
	}
}

func TestDiffWhileNamespacesAreRemoved(t *testing.T) {
	ns := item{part: pods, owner: "e2e-1", inside: true}
	pv := item{part: classes, owner: "e2e-1"}
	after := made(with(is(pod("e2e-1", "a")), is(pod("e2e-2", "b")), is(volume("v", "e2e-1")),
		is(key{API, "cluster", "Namespace e2e-1"}, ns), is(key{API, "cluster", "PersistentVolume v"}, pv)))
	want := []string{
		"api: cluster: PersistentVolume v",
		"api: e2e-2: Pod b (created yesterday)",
		"node: node-1: logical volume vg/v (200 MiB)",
	}
	for _, exclusive := range []bool{true, false} {
		scope := Scope{Namespaces: []string{"e2e-1", "e2e-2"}, Removing: []string{"e2e-1"}, Exclusive: exclusive}
		if got := lines(Diff(made(nil), after, scope)); !slices.Equal(got, want) {
			t.Errorf("exclusive %t: %q", exclusive, got)
		}
	}
}

func TestUncompared(t *testing.T) {
	if got := Uncompared(made(nil), made(nil)); got != nil {
		t.Errorf("all was read: %q", got)
	}
	before := made(nil, Gap{API, "cluster", "pods", "forbidden", false}, Gap{Capacity, everywhere, "", "no pod is labelled", false})
	after := made(nil, Gap{API, "cluster", "pods", "forbidden", false}, Gap{Node, "node-1", "", "not Ready", false})
	before.read.Delete(groups, metric)
	after.read.Delete(classes)
	want := []string{
		"api view of cluster: pods: forbidden (after)",
		"api view of cluster: pods: forbidden (before)",
		"api view of cluster: storageclasses: read before only",
		"capacity view of all nodes: no pod is labelled (before)",
		"node view of node-1: not Ready (after)",
	}
	if got := Uncompared(before, after); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSettle(t *testing.T) {
	scope := Scope{Namespaces: []string{"e2e-1"}}
	leaky := made(with(is(volume("v", "e2e-1"))))
	unread := made(nil, Gap{Node, "node-1", "", "the driver's pod restarts", false})
	var last string
	var done bool
	waiter := func(limit time.Duration) wait.Waiter {
		return wait.Waiter{Interval: time.Millisecond, Limits: map[wait.Name]time.Duration{wait.NoLeaks: limit},
			Observe: func(r wait.Record) { last, done = r.Last, r.Done }}
	}
	series := func(snapshots ...Snapshot) func(context.Context) (Snapshot, error) {
		return func(context.Context) (Snapshot, error) {
			s := snapshots[0]
			if len(snapshots) > 1 {
				snapshots = snapshots[1:]
			}
			if s.read == nil {
				return s, errors.New("connection refused")
			}
			return s, nil
		}
	}

	_, leaks, err := Settle(t.Context(), waiter(time.Minute), series(leaky, Snapshot{}, unread, leaky, made(nil)), made(nil), scope)
	if err != nil || len(leaks) != 0 || !done {
		t.Errorf("freed in time: %v, %v", leaks, err)
	}
	all := made(nil)
	all.read.Insert(published)
	if _, leaks, err := Settle(t.Context(), waiter(time.Second), series(made(nil)), all, scope); err != nil || len(leaks) != 0 || !done {
		t.Errorf("what is published was read before only: %v, %v", leaks, err)
	}
	whole := made(with(is(free(5))))
	narrow := made(nil)
	narrow.read.Delete(groups, metric)
	parallel := Scope{Namespaces: scope.Namespaces, Owned: true}
	if _, leaks, err := Settle(t.Context(), waiter(time.Second), series(narrow), whole, parallel); err != nil || len(leaks) != 0 || !done {
		t.Errorf("capacity was read before only, when nothing else ran: %v, %v", leaks, err)
	}
	after, leaks, err := Settle(t.Context(), waiter(20*time.Millisecond), series(leaky, Snapshot{}), made(nil), scope)
	if want := []string{"node: node-1: logical volume vg/v (200 MiB)"}; err != nil || !slices.Equal(lines(leaks), want) || after.read == nil {
		t.Errorf("never freed: %q, %v", leaks, err)
	}
	after, leaks, err = Settle(t.Context(), waiter(20*time.Millisecond), series(unread), made(nil), scope)
	if err != nil || len(leaks) != 0 || len(Uncompared(made(nil), after)) != 1 || last != "unread: 1, first node view of node-1: the driver's pod restarts" {
		t.Errorf("unread to the end: %v, %v, last %q", leaks, err, last)
	}
	began := time.Now()
	refused := made(nil, Gap{Node, everywhere, "", "forbidden", true})
	if _, leaks, err = Settle(t.Context(), waiter(time.Minute), series(refused), made(nil), scope); err != nil || len(leaks) != 0 || time.Since(began) > 30*time.Second {
		t.Errorf("no longer allowed: %v, %v after %s", leaks, err, time.Since(began))
	}
	if _, _, err = Settle(t.Context(), waiter(20*time.Millisecond), series(Snapshot{}), made(nil), scope); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("no snapshot: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted by the user"))
	if _, _, err = Settle(ctx, waiter(time.Minute), series(leaky), made(nil), scope); err == nil || !strings.Contains(err.Error(), "interrupted by the user") {
		t.Errorf("interrupted: %v", err)
	}
}
