package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pmem-memcached-e2e/framework/ledger"
)

func TestCloseUndoesInReverseAndContinuesAfterErrors(t *testing.T) {
	var l ledger.Ledger
	var order []string
	add := func(what string, err error) {
		l.Add(what, func(context.Context) error {
			order = append(order, what)
			return err
		})
	}
	busy := errors.New("still in use")
	add("namespace n", busy)
	add("claim c", nil)
	l.Add("pod p", func(context.Context) error { panic("nil pointer") })
	add("service s", errors.New("refused"))

	err := l.Close(t.Context())
	if want := []string{"service s", "claim c", "namespace n"}; !slices.Equal(order, want) {
		t.Errorf("undone %q, want %q", order, want)
	}
	if !errors.Is(err, busy) {
		t.Errorf("error %v does not wrap %v", err, busy)
	}
	want := "removing service s: refused\nremoving pod p: panic: nil pointer\nremoving namespace n: still in use"
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
	var left []string
	for _, r := range ledger.RemovalErrors(fmt.Errorf("clean-up: %w", err)) {
		left = append(left, r.What)
	}
	if want := []string{"service s", "pod p", "namespace n"}; !slices.Equal(left, want) {
		t.Errorf("not removed: %q, want %q", left, want)
	}
	if left := ledger.RemovalErrors(busy); left != nil {
		t.Errorf("an error that is not a ledger's names %v", left)
	}
	if err := l.Close(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("second Close: %v, undone %q", err, order)
	}
}

func TestCloseUndoesWhatUndoAdds(t *testing.T) {
	var l ledger.Ledger
	undone := false
	l.Add("outer", func(context.Context) error {
		l.Add("inner", func(context.Context) error { undone = true; return nil })
		return nil
	})
	if err := l.Close(t.Context()); err != nil || !undone || l.Len() != 0 {
		t.Errorf("error %v, undone %t, %d left", err, undone, l.Len())
	}
}

func TestCloseHandsOverTheContext(t *testing.T) {
	var l ledger.Ledger
	l.Add("x", func(ctx context.Context) error { return context.Cause(ctx) })
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("out of time"))
	if err := l.Close(ctx); err == nil || !strings.Contains(err.Error(), "removing x: out of time") {
		t.Errorf("error %v", err)
	}
}

// Several goroutines add, each in its own order, and several close.
func TestOrderUnderConcurrency(t *testing.T) {
	var l ledger.Ledger
	var undone []string // guarded by the ledger: it undoes one entry at a time
	var adders sync.WaitGroup
	for g := range 8 {
		adders.Go(func() {
			for i := range 20 {
				what := fmt.Sprintf("%d-%02d", g, i)
				l.Add(what, func(context.Context) error {
					undone = append(undone, what)
					return nil
				})
			}
		})
	}
	adders.Wait()
	want := l.Left()
	for g := range 8 {
		var mine []string
		for _, what := range want {
			if strings.HasPrefix(what, fmt.Sprint(g)) {
				mine = append(mine, what)
			}
		}
		if !slices.IsSortedFunc(mine, func(a, b string) int { return strings.Compare(b, a) }) || len(mine) != 20 {
			t.Errorf("goroutine %d: %q are not in the reverse of the order of adding", g, mine)
		}
	}
	var closers sync.WaitGroup
	for range 4 {
		closers.Go(func() {
			if err := l.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	if !slices.Equal(undone, want) {
		t.Errorf("undone %q, want %q", undone, want)
	}
}

func TestLeftWhileUndoing(t *testing.T) {
	var l ledger.Ledger
	if left := l.Left(); left != nil {
		t.Errorf("empty ledger: %q", left)
	}
	l.Add("namespace n", func(context.Context) error { return nil })
	entered, release := make(chan struct{}), make(chan struct{})
	l.Add("pod p", func(context.Context) error {
		l.Add("late", func(context.Context) error { return errors.New("refused") })
		close(entered)
		<-release
		return nil
	})
	done := make(chan error)
	go func() { done <- l.Close(context.Background()) }()
	<-entered
	if left, want := l.Left(), []string{"late", "pod p", "namespace n"}; !slices.Equal(left, want) || l.Len() != 3 {
		t.Errorf("left %q, want %q", left, want)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	want := `another removal of ["late" "pod p" "namespace n"] is still running: interrupted`
	if err := l.Close(ctx); err == nil || err.Error() != want {
		t.Errorf("during another Close: %v, want %s", err, want)
	}
	close(release)
	if err := <-done; err == nil || err.Error() != "removing late: refused" || l.Len() != 0 {
		t.Errorf("error %v, left %q", err, l.Left())
	}
}
