// Package leak finds what a run leaves behind, or takes away: it compares two snapshots of the API's
// objects, of what the driver holds on the nodes, and of the capacity that is free.
package leak

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"pmem-memcached-e2e/framework/report"
)

// A View is one way to look at what there is.
type View string

const (
	API      View = "api"      // objects
	Node     View = "node"     // logical volumes, namespaces, mounts and state files of the driver
	Capacity View = "capacity" // free bytes, as LVM, the driver and the cluster report them
)

// Scope says what counts as left behind by the run.
type Scope struct {
	// Namespaces are all that the run has made so far, removed ones included.
	Namespaces []string
	// Removing are those that are being removed at the same time: what is in them does not count yet.
	Removing []string
	// Owned means that only what belongs to Namespaces counts, because other parts of the run are at work next
	// to this one. It is not combined with Exclusive.
	Owned bool
	// Exclusive means that nobody else uses the cluster, so that every difference counts. Else only
	// what refers to Namespaces counts, and volumes of the driver that belong to nobody any more. Capacity is
	// looked at only then.
	Exclusive bool
	// Published includes the capacity that the cluster publishes for each storage class. The
	// external-provisioner brings it up to date once a minute, so after volumes were
	// removed it needs patience.
	Published bool
}

// A Gap is a part of a view that could not be read.
type Gap struct {
	View  View
	Where string // node, or "cluster"
	Part  string // such as "secrets" or "logical volumes"; empty: all of the view there
	Why   string

	lasting bool // to read it again is of no use
}

func (g Gap) String() string {
	return part{g.View, g.Where, g.Part}.String() + ": " + g.Why
}

// covers reports whether p is what could not be read, or a part of that.
func (g Gap) covers(p part) bool {
	return g.View == p.view && (g.Where == p.where || g.Where == everywhere) && (g.Part == "" || g.Part == p.name)
}

// A Snapshot is what there was at a time. It is made by Take.
type Snapshot struct {
	Taken  time.Time
	Unread []Gap // ordered

	items map[key]item
	read  sets.Set[part]
}

// part is read as a whole or not at all.
type part struct {
	view  View
	where string
	name  string
}

func (p part) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s view of %s: %s", p.view, p.where, p.name), ": ")
}

type key struct {
	view        View
	where, what string
}

type item struct {
	part   part
	detail string
	owner  string // namespace that it is in or belongs to; empty: unknown
	inside bool   // it goes away with its namespace, or is the namespace
	dying  bool   // about to go away, so that its absence later is no loss; on nodes: of no object
	bytes  int64  // of capacity
}

// Diff returns what is there after and was not before, and in an exclusive scope also what was there
// before, was not made by the run and is missing after. Less capacity than before is reported, more is not:
// volumes that are missing show on the node. What was not read both times is left out; Uncompared
// reports it. The leaks are ordered by view, place and name.
//
// Both snapshots were taken with the same Exclusive, or before was taken with it and scope is without. One that
// was taken with Published can also be compared with one that was not.
func Diff(before, after Snapshot, scope Scope) []report.Leak {
	both := before.read.Intersection(after.read)
	var leaks []report.Leak
	add := func(k key, detail string) {
		leaks = append(leaks, report.Leak{View: string(k.view), Where: k.where, What: k.what, Detail: detail})
	}
	for k, a := range after.items {
		b, was := before.items[k]
		switch {
		case !both.Has(a.part):
		case k.view == Capacity:
			if was && scope.Exclusive && a.bytes < b.bytes {
				add(k, fmt.Sprintf("%s less than before: %s of %s", size(b.bytes-a.bytes), size(a.bytes), size(b.bytes)))
			}
		case !was && scope.counts(k, a):
			add(k, a.detail)
		}
	}
	if scope.Exclusive {
		for k, b := range before.items {
			if _, is := after.items[k]; !is && both.Has(b.part) && !b.dying && !slices.Contains(scope.Namespaces, b.owner) {
				add(k, strings.TrimSuffix("missing since; it was "+b.detail, "; it was "))
			}
		}
	}
	slices.SortFunc(leaks, func(a, b report.Leak) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Where, b.Where), cmp.Compare(a.What, b.What))
	})
	return leaks
}

// counts reports whether something that is new was left by the run.
func (s Scope) counts(k key, i item) bool {
	switch {
	case i.inside && slices.Contains(s.Removing, i.owner):
		return false
	case s.Exclusive:
		return true
	case k.view == API:
		return slices.Contains(s.Namespaces, i.owner)
	}
	return !s.Owned && i.owner == "" && i.dying || slices.Contains(s.Namespaces, i.owner)
}

func order(l report.Leak) int { return slices.Index([]View{API, Node, Capacity}, View(l.View)) }

// Uncompared reports what Diff has to leave out, one line each with the reason: it could not be read in one
// of the snapshots, or was there in one of them only, such as a node.
func Uncompared(before, after Snapshot) []string {
	var lines []string
	gaps := sets.New[part]()
	for _, s := range []struct {
		when string
		Snapshot
	}{{"before", before}, {"after", after}} {
		for _, g := range s.Unread {
			gaps.Insert(part{g.View, g.Where, g.Part})
			lines = append(lines, fmt.Sprintf("%s (%s)", g, s.when))
		}
	}
	lone := func(read sets.Set[part], where string) {
		for p := range read {
			if !gaps.Has(p) && !gaps.Has(part{p.view, p.where, ""}) && !gaps.Has(part{p.view, everywhere, ""}) {
				lines = append(lines, fmt.Sprintf("%s: read %s only", p, where))
			}
		}
	}
	lone(before.read.Difference(after.read), "before")
	lone(after.read.Difference(before.read), "after")
	slices.Sort(lines)
	return slices.Compact(lines)
}

// Line is how a person reads a leak.
func Line(l report.Leak) string {
	line := fmt.Sprintf("%s: %s: %s", l.View, l.Where, l.What)
	if l.Detail != "" {
		line += " (" + l.Detail + ")"
	}
	return line
}

// size is in the largest binary unit that leaves no more than one decimal of error.
func size(bytes int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if bytes >= unit.bytes {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/float64(unit.bytes)), ".0") + " " + unit.name
		}
	}
	return fmt.Sprintf("%d B", bytes)
}
