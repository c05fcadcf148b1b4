package ledger_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"pmem-memcached-e2e/framework/ledger"
)

func TestCloseUndoesInReverseAndGoesOnAfterErrors(t *testing.T) {
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

func TestConcurrentUse(t *testing.T) {
	var l ledger.Ledger
	var mu sync.Mutex
	undone := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			l.Add("x", func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				undone++
				return nil
			})
		})
	}
	wg.Wait()
	for range 4 {
		wg.Go(func() { _ = l.Close(context.Background()) })
	}
	wg.Wait()
	if undone != 20 {
		t.Errorf("undone %d, want 20", undone)
	}
}
