package load

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"pmem-memcached-e2e/framework/memcached"
)

// serverCPU is the processor time that the server has used while it was
// measured, by its own account: rusage_user and rusage_system of stats.
type serverCPU struct {
	used time.Duration
	err  error // it could not be found out

	warmUp warmUp
}

// watchServer asks for it at the end of the warm-up and at that of the
// measured time. The channel gets one answer.
func watchServer(ctx context.Context, o Options, warm <-chan warmUp) <-chan serverCPU {
	answer := make(chan serverCPU, 1)
	go func() {
		select {
		case w := <-warm:
			used, err := measureServer(ctx, o, w.end)
			answer <- serverCPU{used, err, w}
		case <-ctx.Done():
			answer <- serverCPU{err: context.Cause(ctx)}
		}
	}()
	return answer
}

func measureServer(ctx context.Context, o Options, begin time.Time) (time.Duration, error) {
	var used [2]time.Duration
	for i, at := range []time.Time{begin, begin.Add(o.Duration)} {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		limited, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		var err error
		if used[i], err = askServer(limited, o.Addr); err != nil {
			return 0, fmt.Errorf("processor time of the server: %w", err)
		}
	}
	if used[1] < used[0] {
		return 0, fmt.Errorf("processor time of the server: it went back from %s to %s: the server was restarted", used[0], used[1])
	}
	return used[1] - used[0], nil
}

func askServer(ctx context.Context, addr string) (time.Duration, error) {
	session, err := memcached.Open(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	stats, err := session.Stats(ctx, "")
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, name := range []string{"rusage_user", "rusage_system"} {
		seconds, err := strconv.ParseFloat(stats[name], 64)
		if err != nil {
			return 0, fmt.Errorf("%s is %q, want seconds", name, stats[name])
		}
		sum += seconds
	}
	return time.Duration(sum * float64(time.Second)), nil
}
