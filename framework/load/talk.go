package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	dialLimit  = 5 * time.Second // of one attempt to connect
	dialPause  = 500 * time.Millisecond
	talkLength = 1 << 20 // of what is read, in bytes
)

// ErrLookup reports that the name of a server could not be looked up, because no DNS server gave an answer. It says
// nothing about the server.
var ErrLookup = errors.New("DNS gives no answer")

// LookupExit is the exit code of a client that ends with ErrLookup.
const LookupExit = 4

// Talk sends a request to addr and copies what comes back to out, until the end of the connection. It tries to connect
// for patience, and at least once; there is no limit for the answer but that of ctx.
func Talk(ctx context.Context, addr, request string, patience time.Duration, out io.Writer) error {
	conn, err := connect(ctx, addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, request); err != nil {
		return fmt.Errorf("send to %s: %w", addr, err)
	}
	if _, err := io.Copy(out, io.LimitReader(conn, talkLength)); err != nil {
		return fmt.Errorf("read from %s: %w", addr, errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

// connect returns, if it fails, the last error that says something about the server, and ErrLookup if none does.
func connect(ctx context.Context, addr string, patience time.Duration) (net.Conn, error) {
	until := time.NewTimer(patience)
	defer until.Stop()
	again := time.NewTicker(dialPause)
	defer again.Stop()
	d := net.Dialer{Timeout: dialLimit}
	var failed error
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn, nil
		}
		if !unanswered(err) {
			failed = err
		} else if failed == nil || errors.Is(failed, ErrLookup) {
			failed = fmt.Errorf("%w: %w", ErrLookup, err)
		}
		if patience == 0 {
			return nil, failed
		}
		select {
		case <-until.C:
			return nil, fmt.Errorf("within %s: %w", patience, failed)
		case <-ctx.Done():
			return nil, errors.Join(failed, context.Cause(ctx))
		case <-again.C:
		}
	}
}

// unanswered reports whether err is a look-up without an answer. That there is no such name is an answer.
func unanswered(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup) && !lookup.IsNotFound && (lookup.IsTimeout || lookup.IsTemporary)
}
