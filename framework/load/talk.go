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

func connect(ctx context.Context, addr string, patience time.Duration) (net.Conn, error) {
	until := time.NewTimer(patience)
	defer until.Stop()
	again := time.NewTicker(dialPause)
	defer again.Stop()
	d := net.Dialer{Timeout: dialLimit}
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn, nil
		}
		if patience == 0 {
			return nil, err
		}
		select {
		case <-until.C:
			return nil, fmt.Errorf("within %s: %w", patience, err)
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		case <-again.C:
		}
	}
}
