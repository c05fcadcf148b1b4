//go:build vm

package vmtest

import (
	"context"
	"errors"
	"os/signal"
	"syscall"
	"testing"
)

var errInterrupted = errors.New("interrupted")

// interrupt ends when this process is to end. The tests then fail in what they
// are doing, and take down what they have brought up.
var interrupt, _ = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)

// during returns the context of a test, which ends with interrupt, too.
func during(tb testing.TB) context.Context {
	ctx, cancel := context.WithCancelCause(tb.Context())
	stop := context.AfterFunc(interrupt, func() { cancel(errInterrupted) })
	tb.Cleanup(func() {
		stop()
		cancel(nil)
	})
	return ctx
}
