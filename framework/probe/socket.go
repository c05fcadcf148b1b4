package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Socket is one on which a process takes connections or datagrams.
type Socket struct {
	Protocol string // tcp or udp
	Port     int
}

func (s Socket) String() string { return fmt.Sprintf("%s %d", s.Protocol, s.Port) }

// listSockets prints the numbers of the sockets that processes of the container hold, an empty line, and
// the kernel's lists of all sockets of the pod, each line after the name of its file. There may be no IPv6.
const listSockets = `own=$(cat /proc/self/cgroup)
for d in /proc/[0-9]*; do
	[ "$(cat "$d/cgroup" 2>/dev/null)" = "$own" ] && ls -l "$d/fd" 2>/dev/null
done | sed -n 's/.*socket:\[\([0-9]*\)\].*/\1/p'
echo
cd /proc/net && grep : /dev/null tcp tcp6 udp udp6 2>/dev/null
exit 0`

// Sockets returns the open sockets of a container, and those of the other containers of its pod, which have the same
// network. The latter include those of the container if the kernel does not let its user see who holds a socket.
func Sockets(ctx context.Context, e Execer, namespace, pod, container string) (own, others []Socket, err error) {
	text, err := Output(ctx, e, namespace, pod, container, "sh", "-c", listSockets)
	if err != nil {
		return nil, nil, err
	}
	own, others, err = parseSockets(text)
	if err != nil {
		return nil, nil, fmt.Errorf("sockets of container %s of pod %s/%s: %w", container, namespace, pod, err)
	}
	return own, others, nil
}

// listens is the state of a socket of TCP that takes connections, net/tcp_states.h.
const listens = "0A"

func parseSockets(text string) (own, others []Socket, err error) {
	numbers, lists, _ := strings.Cut("\n"+text, "\n\n")
	held := strings.Fields(numbers)
	if strings.TrimSpace(lists) == "" {
		return nil, nil, fmt.Errorf("no list in %.200q", text)
	}
	for line := range strings.Lines(lists) {
		kind, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) < 10 || strings.HasPrefix(kind, "tcp") && fields[3] != listens {
			continue
		}
		_, hexadecimal, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(hexadecimal, 16, 16)
		if err != nil {
			return nil, nil, fmt.Errorf("unexpected line %q: %w", line, err)
		}
		s := Socket{strings.TrimSuffix(kind, "6"), int(n)}
		to := &others
		if slices.Contains(held, fields[9]) {
			to = &own
		}
		if !slices.Contains(*to, s) {
			*to = append(*to, s)
		}
	}
	return own, others, nil
}
