package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
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
	options  load.Options
	findRate load.Ramp
	json     string
	bench    string
}

func newLoad() *cobra.Command {
	f := &loadFlags{options: load.Default("127.0.0.1:11211"), findRate: load.Ramp{Percent: 99, Precision: 1.05}}
	cmd := &cobra.Command{
		Use: "load", Short: "Load a memcached and measure", Args: cli.NoArguments,
		Long: "Load a memcached and measure. Exit codes: 1 when answers were wrong or missing, 2 when the\nfigures say little about the server or the load could not take place.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(cmd.Flags().Changed("keys")); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			if f.findRate.Limit != 0 {
				return f.ramp(ctx, cmd.OutOrStdout())
			}
			return f.run(ctx, cmd.OutOrStdout())
		},
	}
	cmd.Flags().SortFlags = false
	f.register(cmd.Flags())
	return cmd
}

func (f *loadFlags) run(ctx context.Context, stdout io.Writer) error {
	r, err := load.Run(ctx, f.options)
	if err != nil {
		return &cli.ExitError{Code: exitOf(ctx, err), Err: err}
	}
	fmt.Fprintln(stdout, r)
	if err := f.write(r); err != nil {
		return err
	}
	switch {
	case r.Wrong > 0 || r.Errors > 0:
		return cli.Exit(exitBadAnswers)
	case len(r.Invalid) > 0:
		return cli.Exit(exitInvalid)
	}
	return nil
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

func (f *loadFlags) ramp(ctx context.Context, stdout io.Writer) error {
	rate, _, err := load.FindRate(ctx, load.Run, f.options, f.findRate, func(t load.Try) {
		word := "holds"
		if !t.Held {
			word = "fails: " + t.Why
		}
		fmt.Fprintf(stdout, "%10.0f/s  p%g %-10s %s\n", t.Rate, f.findRate.Percent, t.Latency, word)
	})
	switch {
	case err != nil:
		return &cli.ExitError{Code: exitOf(ctx, err), Err: err}
	case rate == 0:
		fmt.Fprintf(stdout, "the limit does not hold at %.0f/s; begin lower\n", f.findRate.From)
		return cli.Exit(exitInvalid)
	}
	fmt.Fprintf(stdout, "highest rate with p%g up to %s: %.0f/s\n", f.findRate.Percent, f.findRate.Limit, rate)
	return nil
}

// register has the flags fill f.
func (f *loadFlags) register(set *pflag.FlagSet) {
	o := &f.options
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
	set.Func("popular", "uniform (default), sequential, zipf:SKEW or hot:KEYS:TRAFFIC", func(s string) (err error) {
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
	set.BoolVar(&o.Owned, "owned", o.Owned, "a connection has its own keys, so old values are wrong too")
	set.BoolVar(&o.MayMiss, "may-miss", o.MayMiss, "a get may find nothing")
	set.IntVar(&o.Verify, "verify", o.Verify, "compare one value in so many")
	set.DurationVar(&o.WarmUp, "warm-up", o.WarmUp, "before what is measured")
	set.DurationVar(&o.SteadyWithin, "steady-within", 0, "longer warm-up, at most, until the throughput is steady")
	set.DurationVar(&o.Duration, "duration", o.Duration, "measured")
	set.DurationVar(&o.Timeout, "timeout", o.Timeout, "without an answer on a connection")
	set.Uint64Var(&o.Seed, "seed", o.Seed, "of the order of requests")
	set.StringVar(&f.json, "json", "", "file for everything that was measured")
	set.StringVar(&f.bench, "bench", "", "name under which a line for benchstat is printed to standard error")
	set.DurationVar(&f.findRate.Limit, "find-rate", 0, "find the highest rate with --percent under this latency")
	set.Float64Var(&f.findRate.Percent, "percent", f.findRate.Percent, "of -find-rate")
	set.Float64Var(&f.findRate.From, "from", 1000, "requests a second at which -find-rate begins")
	set.Float64Var(&f.findRate.To, "to", 200000, "requests a second at which -find-rate ends")
}

// validate refuses what cannot be measured.
func (f *loadFlags) validate(keysGiven bool) error {
	if f.options.Fill != 0 && !keysGiven {
		f.options.Keys = 0 // the default is none with a share
	}
	if f.findRate.Limit != 0 {
		if err := f.findRate.Validate(); err != nil {
			return err
		}
	}
	return f.options.Validate()
}

func (f *loadFlags) write(r load.Result) error {
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
