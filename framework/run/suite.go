package run

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// A Suite has the specs of a run. They are listed in this process and run in
// another one, which is this program again.
type Suite struct {
	// List returns the specs and which of them a configuration selects.
	List func(config.Config) (spec.Listing, error)
	// Args are the arguments by which this program runs the specs. The path of
	// the configuration and the longest time that the specs may take follow.
	Args []string
	// LoadClient is the path of the program that load clients in pods run, up
	// to a hyphen and the architecture of the node.
	LoadClient string
}

// eventsFile is where the child finds the pipe that it inherits.
const eventsFile = "/dev/fd/3"

// command is the process that runs the specs. What it prints is for its log;
// what counts goes to events.
func (s Suite) command(configFile string, limit time.Duration, log, events, lifeline *os.File) *exec.Cmd {
	// This executable, wherever it lies.
	cmd := exec.Command("/proc/self/exe", append(append([]string{}, s.Args...), configFile, limit.String())...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{events, lifeline} // the latter as child.Lifeline
	return cmd
}

// eventsLimit bounds the reading of what the suite has reported before it ended.
const eventsLimit = 10 * time.Second

// runSuite runs the suite to its end and records what it reports.
func (r *Runner) runSuite(configFile string, plan []spec.Planned) error {
	log, err := r.startLog()
	if err != nil {
		return err
	}
	defer log.in.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the suite's events: %w", err)
	}
	defer read.Close()
	lifeline, held, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the life of the suite: %w", err)
	}
	defer held.Close()
	defer lifeline.Close()
	ended := false
	reported := make(chan error, 1)
	go func() {
		reported <- report.ReadEvents(read, func(e report.Event) error {
			r.record(e)
			ended = ended || e.Kind == report.SuiteEnded
			return nil
		})
	}()

	limit := r.scaled(suiteLimit + measuring(plan))
	cmd := r.Suite.command(configFile, limit, log.in, write, lifeline)
	code, err := supervise(cmd, r.Signals, patience{run: limit + suiteGrace, grace: r.scaled(suiteGrace)}, r.live.Writer())
	_ = write.Close() // the child has its own
	err = errors.Join(err, log.end(r.scaled(eventsLimit)))
	// Whatever else has the pipe, nobody writes to it any more.
	_ = read.SetReadDeadline(time.Now().Add(r.scaled(eventsLimit)))
	if readErr := <-reported; readErr != nil && !(ended && errors.Is(readErr, os.ErrDeadlineExceeded)) {
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
