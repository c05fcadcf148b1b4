package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/run"
)

func parse(args []string) (*loadFlags, error) {
	f := &loadFlags{options: load.Default("127.0.0.1:11211"), findRate: load.Ramp{Percent: 99, Precision: 1.05}}
	cmd := &cobra.Command{}
	f.register(cmd.Flags())
	if err := cmd.ParseFlags(cli.Arguments(cmd, args)); err != nil {
		return f, err
	}
	return f, f.validate(cmd.Flags().Changed("keys"))
}

func TestParseLoad(t *testing.T) {
	f, err := parse(strings.Fields("-addr 127.0.0.1:1 -protocol text -popular zipf:0.99 -values etc:4000 -mix 8:1:1 -may-miss -rate 5000 -arrivals constant -find-rate 1ms -to 9000"))
	if err != nil {
		t.Fatal(err)
	}
	o := f.options
	if o.Protocol != load.Text || o.Popular != load.Zipf(0.99) || o.Values != load.Etc(4000) || o.Gets != 8 || o.Sets != 1 || o.Deletes != 1 || o.Rate != 5000 || o.Arrivals != load.Constant {
		t.Errorf("%+v", o)
	}
	if r := f.findRate; r.Limit != time.Millisecond || r.From != 1000 || r.To != 9000 {
		t.Errorf("ramp %+v", r)
	}
	if f, err = parse([]string{"-mix", "3:1"}); err != nil || f.options.Gets != 3 || f.options.Sets != 1 || f.options.Deletes != 0 {
		t.Errorf("mix of two: %+v, %v", f.options, err)
	}
	if f, err = parse([]string{"-fill", "0.5"}); err != nil || f.options.Fill != 0.5 || f.options.Keys != 0 {
		t.Errorf("fill: %+v, %v", f.options, err)
	}
}

func TestLoadRefusesBadFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-mix 9:x":             `"9:x" for "--mix" flag: give whole numbers such as 9:1 or 8:1:1`,
		"-mix 1:2:3:4":         `"--mix" flag: give whole numbers`,
		"-popular zipf":        `Popular="zipf": give uniform`,
		"-values 10k":          `Values="10k": give bytes`,
		"-connections 0":       `Connections="0": give 1 to 65000`,
		"-depth many":          `"many" for "--depth" flag`,
		"-fill 0.5 -keys 9":    `Keys="9": leave it out`,
		"-fill 2":              `Fill="2": give a share`,
		"-find-rate 1us":       `Limit="1µs": give 10µs or more`,
		"-find-rate 1ms -to 5": `From:To="1000:5"`,
		"word":                 `"word": no argument is expected`,
		"-nothing":             "-nothing",
	} {
		var stdout, stderr bytes.Buffer
		if code := execute(t.Context(), append([]string{"load"}, strings.Fields(args)...), &stdout, &stderr); code != run.ExitUsage || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
			t.Errorf("e2e load %s: exit code %d\n%s%s\nwant 3 and %q", args, code, stdout.String(), stderr.String(), want)
		}
	}
}

func TestExitOfLoadThatCannotTakePlace(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	refused := fmt.Errorf("load x:1: %w", &load.FieldError{Field: "Values", Value: "2000000", Remedy: "give less"})
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want int
	}{{t.Context(), refused, 3}, {t.Context(), errors.New("connection refused"), 2}, {ended, context.Canceled, 130}} {
		if got := exitOf(test.ctx, test.err); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
}
