package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
)

// exitBadAnswers is that of a load in which answers were wrong or missing.
const exitBadAnswers = 1

// exitInvalid is that of a load whose figures say little about the server, and
// of one that could not take place.
const exitInvalid = 2

type loadFlags struct {
	options load.Options
	ramp    *load.Ramp
	json    string
	bench   string
}

// onLoad runs the load generator against a server.
func onLoad(args []string, stdout, stderr io.Writer) int {
	f, err := parseLoad(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "e2e load: %v\n", err)
		return run.ExitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if f.ramp != nil {
		return onRamp(ctx, f, stdout, stderr)
	}
	r, err := load.Run(ctx, f.options)
	if err != nil {
		fmt.Fprintf(stderr, "e2e load: %v\n", err)
		return exitOf(ctx, err)
	}
	fmt.Fprintln(stdout, r)
	if err := f.write(r); err != nil {
		fmt.Fprintf(stderr, "e2e load: %v\n", err)
		return run.ExitUsage
	}
	switch {
	case r.Wrong > 0 || r.Errors > 0:
		return exitBadAnswers
	case len(r.Invalid) > 0:
		return exitInvalid
	}
	return 0
}

// exitOf is for a load that could not take place.
func exitOf(ctx context.Context, err error) int {
	if ctx.Err() != nil {
		return report.ExitInterrupted
	}
	if _, refused := errors.AsType[*load.FieldError](err); refused {
		return run.ExitUsage
	}
	return exitInvalid
}

func onRamp(ctx context.Context, f loadFlags, stdout, stderr io.Writer) int {
	rate, _, err := load.FindRate(ctx, load.Run, f.options, *f.ramp, func(t load.Try) {
		word := "holds"
		if !t.Held {
			word = "fails: " + t.Why
		}
		fmt.Fprintf(stdout, "%10.0f/s  p%g %-10s %s\n", t.Rate, f.ramp.Percent, t.Latency, word)
	})
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "e2e load: %v\n", err)
		return exitOf(ctx, err)
	case rate == 0:
		fmt.Fprintf(stdout, "the limit does not hold at %.0f/s; begin lower\n", f.ramp.From)
		return exitInvalid
	}
	fmt.Fprintf(stdout, "highest rate with p%g up to %s: %.0f/s\n", f.ramp.Percent, f.ramp.Limit, rate)
	return 0
}

// parseLoad writes the flags to help when they are asked for.
func parseLoad(args []string, help io.Writer) (loadFlags, error) {
	f := loadFlags{options: load.Default("127.0.0.1:11211")}
	o := &f.options
	set := flag.NewFlagSet("e2e load", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&o.Addr, "addr", o.Addr, "host:port of memcached")
	set.Func("protocol", "text or meta (default meta)", func(s string) error { o.Protocol = load.Protocol(s); return nil })
	set.IntVar(&o.Connections, "connections", o.Connections, "number of connections")
	set.IntVar(&o.Threads, "threads", o.Threads, "event loops among which the connections are dealt out")
	set.IntVar(&o.Depth, "depth", o.Depth, "requests in flight on each connection of a closed loop")
	set.IntVar(&o.Multiget, "multiget", o.Multiget, "keys of each get")
	set.Float64Var(&o.Rate, "rate", o.Rate, "requests a second of an open loop; 0: closed loop")
	set.Func("arrivals", "poisson or constant (default poisson)", func(s string) error { o.Arrivals = load.Arrivals(s); return nil })
	set.Int64Var(&o.Keys, "keys", o.Keys, "number of keys, all stored before the load")
	set.Float64Var(&o.Fill, "fill", 0, "share of the server's limit that sets -keys, up to 1")
	set.IntVar(&o.KeySize, "key-size", o.KeySize, "bytes of each key")
	set.StringVar(&o.Prefix, "prefix", o.Prefix, "of every key")
	set.Func("popular", "uniform, sequential, zipf:SKEW or hot:KEYS:TRAFFIC (default uniform)", func(s string) (err error) {
		o.Popular, err = load.ParseDistribution(s)
		return err
	})
	set.Func("values", "bytes of the values: SIZE, MIN-MAX or etc:MAX (default 100)", func(s string) (err error) {
		o.Values, err = load.ParseSizes(s)
		return err
	})
	set.Func("mix", "shares of gets:sets:deletes (default 9:1:0)", func(s string) error {
		shares := append(strings.Split(s, ":"), "0")
		for i, to := range []*int{&o.Gets, &o.Sets, &o.Deletes} {
			n, err := strconv.Atoi(shares[min(i, len(shares)-1)])
			if err != nil || len(shares) > 4 {
				return errors.New("give whole numbers such as 9:1 or 8:1:1")
			}
			*to = n
		}
		return nil
	})
	set.DurationVar(&o.Expiry, "expiry", o.Expiry, "of what is stored; 0: none")
	set.BoolVar(&o.Owned, "owned", o.Owned, "each connection has keys of its own, so that old values are wrong too")
	set.BoolVar(&o.MayMiss, "may-miss", o.MayMiss, "a get may find nothing")
	set.IntVar(&o.Verify, "verify", o.Verify, "compare one value in so many")
	set.DurationVar(&o.WarmUp, "warm-up", o.WarmUp, "before what is measured")
	set.DurationVar(&o.SteadyWithin, "steady-within", 0, "longer warm-up, at most, until the throughput is steady")
	set.DurationVar(&o.Duration, "duration", o.Duration, "measured")
	set.DurationVar(&o.Timeout, "timeout", o.Timeout, "without an answer on a connection")
	set.Uint64Var(&o.Seed, "seed", o.Seed, "of the order of requests")
	set.StringVar(&f.json, "json", "", "file for everything that was measured")
	set.StringVar(&f.bench, "bench", "", "name under which a line for benchstat is printed to standard error")
	ramp := load.Ramp{Percent: 99, Precision: 1.05}
	set.DurationVar(&ramp.Limit, "find-rate", 0, "look for the highest rate at which -percent stays under this latency")
	set.Float64Var(&ramp.Percent, "percent", ramp.Percent, "of -find-rate")
	set.Float64Var(&ramp.From, "from", 1000, "requests a second at which -find-rate begins")
	set.Float64Var(&ramp.To, "to", 200000, "requests a second at which -find-rate ends")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(help)
			set.PrintDefaults()
		}
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("%q: no argument is expected beside flags; -help lists them", set.Arg(0))
	}
	keysGiven := false
	set.Visit(func(given *flag.Flag) {
		if given.Name == "keys" {
			keysGiven = true
		}
	})
	if o.Fill != 0 && !keysGiven {
		o.Keys = 0 // the default is none beside a share
	}
	if ramp.Limit != 0 {
		if err := ramp.Validate(); err != nil {
			return f, err
		}
		f.ramp = &ramp
	}
	return f, f.options.Validate()
}

func (f loadFlags) write(r load.Result) error {
	if f.bench != "" {
		if err := r.WriteBenchmark(os.Stderr, f.bench); err != nil {
			return fmt.Errorf("print the line for benchstat: %w", err)
		}
	}
	if f.json == "" {
		return nil
	}
	file, err := os.OpenFile(f.json, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := r.WriteJSON(file); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", f.json, err), file.Close())
	}
	return file.Close()
}
