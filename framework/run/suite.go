package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// suite is the compiled test binary of the package with the specs.
type suite struct {
	binary string // absolute
	client string // absolute path of the load client
	dir    string // where it runs, so that it finds testdata
	temp   string // for its configuration and the listing
}

// build compiles the suite and its load client into temp.
func build(ctx context.Context, root, pkg, temp string) (suite, error) {
	s := suite{binary: filepath.Join(temp, "e2e.test"), client: filepath.Join(temp, "load"), dir: filepath.Join(root, pkg), temp: temp}
	if err := goBuild(ctx, root, nil, "test", "-c", "-o", s.binary, pkg); err != nil {
		return suite{}, fmt.Errorf("build the suite: %w", err)
	}
	// Small and static, because it is streamed into pods of any image.
	if err := goBuild(ctx, root, []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-ldflags=-s -w", "-o", s.client, clientPackage); err != nil {
		return suite{}, fmt.Errorf("build the load client: %w", err)
	}
	return s, nil
}

// clientPackage is the load client, by its path: the suite may be that of
// another directory.
const clientPackage = "pmem-memcached-e2e/hack/load"

func goBuild(ctx context.Context, root string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	ownGroup(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// entry is the test that runs the specs: a suite has unit tests beside it,
// which are not for a run on a cluster.
const entry = "-test.run=^TestE2E$"

// list asks the suite for its specs and which of them are selected.
func (s suite) list(ctx context.Context, c config.Config) (spec.Listing, error) {
	path := filepath.Join(s.temp, "listing.json")
	cmd := exec.CommandContext(ctx, s.binary, append([]string{entry, "-list=" + path}, selection(c)...)...)
	cmd.Dir = s.dir
	ownGroup(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	fail := func(err error, out []byte) (spec.Listing, error) {
		return spec.Listing{}, fmt.Errorf("list the specs: %w\n%s", err, bytes.TrimSpace(out))
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return spec.Listing{}, fmt.Errorf("list the specs: %w", context.Cause(ctx))
	}
	if err != nil {
		return fail(err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fail(err, out)
	}
	var listing spec.Listing
	if err := json.Unmarshal(data, &listing); err != nil {
		return fail(err, out)
	}
	switch {
	case len(listing.Specs) == 0:
		return fail(errors.New("the suite has none"), out)
	case len(listing.Selected) == 0:
		return spec.Listing{}, &UsageError{fmt.Errorf("%s; the labels are: %s", noneSelected(c, listing.Specs), strings.Join(listing.Labels, " "))}
	}
	return listing, nil
}

// Reasons why a spec is skipped that belongs to the other kind of run.
const (
	measuresOnly = "a benchmark run has no specs but benchmarks"
	examinesOnly = "benchmarks run with make bench"
)

// apart says why s does not belong to this kind of run; empty when it does.
func apart(c config.Config, s spec.Spec) string {
	switch {
	case s.Measures() && !c.Measures():
		return examinesOnly
	case !s.Measures() && !c.Examines():
		return measuresOnly
	}
	return ""
}

// skips says why a spec is skipped.
func skips(c config.Config, listing spec.Listing) func(spec.Spec) string {
	return func(s spec.Spec) string {
		if why := apart(c, s); why != "" || slices.Contains(listing.Selected, s.ID) {
			return why
		}
		return filter(c.Select)
	}
}

func noneSelected(c config.Config, specs []spec.Spec) string {
	n := 0
	for _, s := range specs {
		if apart(c, s) == "" {
			n++
		}
	}
	words, kind := filter(c.Select), "specs"
	if c.Bench {
		words, kind = strings.TrimSpace("BENCH=1 "+words), "benchmarks"
	}
	text := fmt.Sprintf("%s selects none of the %d %s", words, n, kind)
	if !c.Measures() && n < len(specs) {
		text += "; " + examinesOnly
	}
	return text
}

// filter is what the user selects by, in the user's words.
func filter(sel config.Select) string {
	var parts []string
	if sel.Labels != "" {
		parts = append(parts, fmt.Sprintf("LABELS=%q", sel.Labels))
	}
	if sel.Focus != "" {
		parts = append(parts, fmt.Sprintf("FOCUS=%q", sel.Focus))
	}
	return strings.Join(parts, " with ")
}

// labels is the label filter of Ginkgo for the kind of run and what the user
// selects.
func labels(c config.Config) string {
	var parts []string
	switch {
	case !c.Examines():
		parts = append(parts, spec.BenchmarkTag)
	case !c.Measures():
		parts = append(parts, "!"+spec.BenchmarkTag)
	}
	if c.Select.Labels != "" {
		parts = append(parts, "("+c.Select.Labels+")")
	}
	return strings.Join(parts, " && ")
}

func selection(c config.Config) []string {
	var args []string
	if filter := labels(c); filter != "" {
		args = append(args, "--ginkgo.label-filter="+filter)
	}
	sel := c.Select
	if sel.Focus != "" {
		args = append(args, "--ginkgo.focus="+sel.Focus)
	}
	if sel.Seed != 0 {
		args = append(args, fmt.Sprintf("--ginkgo.seed=%d", sel.Seed))
	}
	return args
}

func (s suite) config() string { return filepath.Join(s.temp, "config.json") }

// eventsFile is where the child finds the pipe that it inherits.
const eventsFile = "/dev/fd/3"

// command is the suite with everything that a run needs. What it prints is for
// its log; what counts goes to events.
func (s suite) command(c config.Config, limit time.Duration, log, events *os.File) *exec.Cmd {
	args := append([]string{entry, "-config=" + s.config()}, selection(c)...)
	args = append(args, "--ginkgo.v", "--ginkgo.silence-skips", "--ginkgo.fail-on-empty", "--ginkgo.no-color",
		"--ginkgo.timeout="+limit.String())
	if c.Retries > 0 {
		args = append(args, fmt.Sprintf("--ginkgo.flake-attempts=%d", c.Retries+1))
	}
	cmd := exec.Command(s.binary, args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{events}
	return cmd
}

// eventsLimit bounds the reading of what the suite has told before it ended.
const eventsLimit = 10 * time.Second

// runSuite runs the suite to its end and records what it tells.
func (r *Runner) runSuite(s suite, plan []spec.Planned) error {
	log, err := os.Create(r.path(suiteLog))
	if err != nil {
		return fmt.Errorf("make the suite's log: %w", err)
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the suite's events: %w", err)
	}
	defer read.Close()
	ended := false
	told := make(chan error, 1)
	go func() {
		told <- report.ReadEvents(read, func(e report.Event) error {
			r.record(e)
			ended = ended || e.Kind == report.SuiteEnded
			return nil
		})
	}()

	limit := r.scaled(suiteLimit + measuring(plan))
	cmd := s.command(r.Config, limit, log, write)
	code, err := supervise(cmd, r.Signals, patience{run: limit + suiteGrace, grace: r.scaled(suiteGrace)}, r.live.Writer())
	_ = write.Close() // the child has its own
	// Whatever else has the pipe, nobody writes to it any more.
	_ = read.SetReadDeadline(time.Now().Add(r.scaled(eventsLimit)))
	if readErr := <-told; readErr != nil && !(ended && errors.Is(readErr, os.ErrDeadlineExceeded)) {
		err = errors.Join(err, fmt.Errorf("read the suite's events: %w", readErr))
	}
	if ended {
		return err
	}
	return errors.Join(err, fmt.Errorf("the suite died with exit code %d; the end of %s: %s", code, r.path(suiteLog), lastLines(r.path(suiteLog), 5)))
}

// measuring is the longest that the benchmarks of a plan take, at wait scale 1.
func measuring(plan []spec.Planned) time.Duration {
	var sum time.Duration
	for _, p := range plan {
		if p.Measures() && p.Outcome == "" {
			sum += p.Budget
		}
	}
	return sum
}

func (r *Runner) record(e report.Event) {
	if e.Kind == report.SuiteStarted {
		r.recorder.Run(func(run *report.Run) { _, _ = fmt.Sscan(e.Text, &run.Seed) })
	}
	r.recorder.Record(e)
	r.live.Event(e)
}

// lastLines returns the end of a file in one line.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
