package wait_test

import (
	"context"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

func TestOpen(t *testing.T) {
	var open wait.Open
	names := func() (all []string) {
		for _, w := range open.Waits() {
			all = append(all, w.What)
		}
		return all
	}
	begun, ended := 0, 0
	w := open.Watch(wait.Waiter{Begin: func(wait.Record) { begun++ }, Observe: func(wait.Record) { ended++ }})
	before := time.Now()
	err := w.Until(t.Context(), wait.PodRuns, "the outer one", func(ctx context.Context) (bool, string, error) {
		err := w.Until(ctx, wait.PodEnds, "the inner one", func(context.Context) (bool, string, error) {
			if got := names(); len(got) != 2 || got[0] != "the outer one" || got[1] != "the inner one" {
				t.Errorf("open while both wait: %q", got)
			}
			if since := open.Waits()[1].Since; since.Before(before) || since.After(time.Now()) {
				t.Errorf("the inner one waits since %s", since)
			}
			return true, "", nil
		})
		if got := names(); len(got) != 1 || got[0] != "the outer one" {
			t.Errorf("open after the inner one: %q", got)
		}
		return true, "", err
	})
	if err != nil || len(names()) != 0 || begun != 2 || ended != 2 {
		t.Errorf("%v; open at the end: %q; %d begun, %d ended", err, names(), begun, ended)
	}
	open.End(wait.Record{What: "one that was never begun"})
}
