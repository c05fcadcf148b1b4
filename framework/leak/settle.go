package leak

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

// Settle takes snapshots until nothing differs from before and everything is readable that was readable
// before, because Kubernetes and the driver remove what was given up in their own time. It
// returns the last snapshot and what it differs in when the limit of wait.NoLeaks has passed; that is
// no error. What remained unread is reported by Uncompared.
//
// The error says that ctx has ended, or that no snapshot could be taken at all.
func Settle(ctx context.Context, w wait.Waiter, take func(context.Context) (Snapshot, error), before Snapshot, scope Scope) (Snapshot, []report.Leak, error) {
	var last Snapshot
	var leaks []report.Leak
	taken := false
	err := w.Until(ctx, wait.NoLeaks, "nothing to be left behind", func(ctx context.Context) (bool, string, error) {
		after, err := take(ctx)
		if err != nil {
			return false, "", err
		}
		last, leaks, taken = after, Diff(before, after, scope), true
		unread := before.read.Difference(after.read)
		for p := range unread {
			if p.view == Capacity && !scope.Exclusive || p == published && !scope.Published {
				unread.Delete(p)
			}
		}
		for p := range unread {
			if slices.ContainsFunc(after.Unread, func(g Gap) bool { return g.lasting && g.covers(p) }) {
				unread.Delete(p)
			}
		}
		return len(leaks) == 0 && len(unread) == 0, summary(leaks, after.Unread), nil
	})
	if _, ok := errors.AsType[*wait.TimeoutError](err); ok && taken {
		return last, leaks, nil
	}
	return last, leaks, err
}

// summary is one line that names the first of each.
func summary(leaks []report.Leak, gaps []Gap) string {
	var parts []string
	if len(leaks) > 0 {
		parts = append(parts, fmt.Sprintf("differences: %d, first %s", len(leaks), Line(leaks[0])))
	}
	if len(gaps) > 0 {
		parts = append(parts, fmt.Sprintf("unread: %d, first %s", len(gaps), gaps[0]))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}
