package memcached

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A Session is one connection on which the text protocol is spoken as it is. It is not safe for
// concurrent use, and of no further use after an error.
type Session struct {
	Terms
	addr string
	conn net.Conn
	in   *bufio.Reader
}

// Open connects to the server at addr, host:port.
func Open(ctx context.Context, addr string) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("memcached at %s: %w", addr, err)
	}
	return &Session{addr: addr, conn: conn, in: bufio.NewReader(conn)}, nil
}

// Do sends request, ended by CR LF if it is not already, and reads lines until one for which until
// holds. A request may have several lines separated by CR LF. The lines are returned without their
// line end, also those read before an error. When the server closes the connection the error
// is io.EOF; with until nil that is the expected end, as after quit. The exchange is
// bounded as the Terms say.
func (s *Session) Do(ctx context.Context, request string, until func(line string) bool) ([]string, error) {
	verb, _, _ := strings.Cut(strings.TrimRight(request, "\r\n"), "\r\n")
	fail := func(err error) error {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return s.judge(ctx, fmt.Errorf("memcached at %s: %.80q: %w", s.addr, verb, err))
	}
	if err := s.conn.SetDeadline(s.deadline(ctx)); err != nil {
		return nil, fail(err)
	}
	release := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer release()

	if !strings.HasSuffix(request, "\r\n") {
		request += "\r\n"
	}
	if _, err := io.WriteString(s.conn, request); err != nil {
		return nil, fail(err)
	}
	var lines []string
	for {
		line, err := s.in.ReadString('\n')
		if line != "" && err == nil {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			lines = append(lines, line)
			if until != nil && until(line) {
				return lines, nil
			}
			continue
		}
		switch {
		case errors.Is(err, io.EOF) && line != "":
			return append(lines, line), fail(io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF) && until == nil:
			return lines, io.EOF
		}
		return lines, fail(err)
	}
}

// Close closes the connection.
func (s *Session) Close() error { return s.conn.Close() }

// Line returns a condition for Do that holds for each of the given lines, and for every error that
// the protocol knows: ERROR, CLIENT_ERROR and SERVER_ERROR.
func Line(want ...string) func(string) bool {
	return func(line string) bool {
		for _, w := range want {
			if line == w {
				return true
			}
		}
		return isError(line)
	}
}

func isError(line string) bool {
	return line == "ERROR" || strings.HasPrefix(line, "CLIENT_ERROR ") || strings.HasPrefix(line, "SERVER_ERROR ")
}

// Stats returns the statistics of the server, by name: the general ones for an empty sub, else those of
// "stats sub", such as settings or items.
func (c *Client) Stats(ctx context.Context, sub string) (map[string]string, error) {
	s, err := c.Session(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Stats(ctx, sub)
}

// Session opens a session with the server of c, on the same terms.
func (c *Client) Session(ctx context.Context) (*Session, error) {
	s, err := Open(ctx, c.addr)
	if err != nil {
		return nil, c.judge(ctx, err)
	}
	s.Terms = c.Terms
	return s, nil
}

// Stats is that of a Client, over this connection. An answer that is no statistic ends it at once.
func (s *Session) Stats(ctx context.Context, sub string) (map[string]string, error) {
	request := strings.TrimSpace("stats " + sub)
	lines, err := s.Do(ctx, request, func(line string) bool { return !strings.HasPrefix(line, "STAT ") })
	if err != nil {
		return nil, err
	}
	stats, err := parseStats(lines)
	if err != nil {
		return nil, fmt.Errorf("memcached at %s: %s: %w", s.addr, request, err)
	}
	return stats, nil
}

// parseStats reads lines of the form "STAT name value", protocol.txt, "Statistics". A value may be empty
// and may hold spaces.
func parseStats(lines []string) (map[string]string, error) {
	if len(lines) == 0 || lines[len(lines)-1] != "END" {
		return nil, fmt.Errorf("answered %q, want lines of STAT and END", lines)
	}
	stats := map[string]string{}
	for _, line := range lines[:len(lines)-1] {
		rest, ok := strings.CutPrefix(line, "STAT ")
		name, value, _ := strings.Cut(rest, " ")
		if !ok || name == "" {
			return nil, fmt.Errorf("answered %q, want STAT name value", line)
		}
		stats[name] = value
	}
	return stats, nil
}
