package run

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lane"
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

// command is a process that runs specs. What it prints is for its log; what
// counts goes to events.
func (s Suite) command(configFile string, limit time.Duration, i inherited) *exec.Cmd {
	// This executable, wherever it lies.
	cmd := exec.Command("/proc/self/exe", append(append([]string{}, s.Args...), configFile, limit.String())...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = i.log, i.log
	cmd.ExtraFiles = []*os.File{i.events, i.lifeline} // the latter as child.Lifeline
	if i.lane != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, i.lane) // as lane.Descriptor
	}
	return cmd
}

// inherited is what a process that runs specs gets from this one.
type inherited struct {
	log, events, lifeline *os.File
	lane                  *os.File // nil: the process runs all specs
}

// eventsLimit bounds the reading of what the suite has reported before it ended.
const eventsLimit = 10 * time.Second

// runSuite runs the suite to its end, in as many processes as specs run at the
// same time, at most atOnce, and records what they report.
func (r *Runner) runSuite(temp string, plan []spec.Planned, atOnce int) error {
	n := lanes(atOnce, plan)
	r.Config.Parallel = n
	r.recorder.Run(func(run *report.Run) { run.Parallel = n })
	limit := r.scaled(suiteLimit + measuring(plan))
	all := newMerged(n, r.record)
	dispatcher := lane.NewDispatcher(n)
	var processes []*process
	var cmds []*exec.Cmd
	defer func() {
		for _, p := range processes {
			p.close()
		}
	}()
	for i := range n {
		p, err := r.prepare(i, dispatcher, all)
		if err != nil {
			return err
		}
		processes = append(processes, p)
		configFile, err := r.configure(i, temp)
		if err != nil {
			return err
		}
		cmds = append(cmds, r.Suite.command(configFile, limit, p.inherits))
	}
	codes, err := supervise(cmds, func(i int) { processes[i].leave() }, r.Signals, patience{run: limit + suiteGrace, grace: r.scaled(suiteGrace)}, r.live.Writer())
	errs := []error{err}
	for i, p := range processes {
		errs = append(errs, p.finish(r.scaled(eventsLimit), all.hasEnded(i)))
		if log := r.path(logOf(i)); !all.hasEnded(i) {
			errs = append(errs, fmt.Errorf("the suite died with exit code %d; the end of %s: %s", codes[i], log, lastLines(log, 5)))
		}
	}
	return errors.Join(errs...)
}

// configure writes the configuration of a process that runs specs, into a
// directory of its own.
func (r *Runner) configure(i int, temp string) (path string, err error) {
	dir := filepath.Join(temp, fmt.Sprint(i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a directory for the suite: %w", err)
	}
	c := r.Config
	c.Lane = i
	path = filepath.Join(dir, "config.json")
	return path, c.WriteFile(path)
}

// process is this process's side of one that runs specs.
type process struct {
	inherits inherited
	log      *pipedLog
	events   *os.File // to be read
	reported chan error
	files    []io.Closer
}

func (r *Runner) prepare(i int, dispatcher *lane.Dispatcher, all *merged) (p *process, err error) {
	p = &process{reported: make(chan error, 1)}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.log, err = r.startLog(logOf(i)); err != nil {
		return nil, err
	}
	p.inherits.log = p.log.in
	p.files = append(p.files, p.log.in)
	if p.events, p.inherits.events, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("make a pipe for the suite's events: %w", err)
	}
	p.files = append(p.files, p.events, p.inherits.events)
	lifeline, held, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the life of the suite: %w", err)
	}
	p.inherits.lifeline = lifeline
	p.files = append(p.files, lifeline, held)
	if r.Config.Parallel > 1 {
		var own net.Conn
		if own, p.inherits.lane, err = lane.Pair(); err != nil {
			return nil, err
		}
		p.files = append(p.files, own, p.inherits.lane)
		go func() {
			if err := dispatcher.Serve(i, own); err != nil {
				r.recorder.AddError(err.Error())
			}
		}()
	}
	go func() {
		p.reported <- report.ReadEvents(p.events, func(e report.Event) error {
			all.record(i, e)
			return nil
		})
	}()
	return p, nil
}

// leave lets the dispatcher see that the process has ended.
func (p *process) leave() {
	if p.inherits.lane != nil {
		_ = p.inherits.lane.Close()
	}
}

// finish takes in what the process, which has ended, has written.
func (p *process) finish(limit time.Duration, ended bool) error {
	_ = p.inherits.events.Close() // the process had its own
	err := p.log.end(limit)
	// Whatever else has the pipe, nobody writes to it any more.
	_ = p.events.SetReadDeadline(time.Now().Add(limit))
	if readErr := <-p.reported; readErr != nil && !(ended && errors.Is(readErr, os.ErrDeadlineExceeded)) {
		err = errors.Join(err, fmt.Errorf("read the suite's events: %w", readErr))
	}
	return err
}

func (p *process) close() {
	for _, f := range p.files {
		_ = f.Close()
	}
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
	switch {
	case r.usage == nil:
	case e.Kind == report.SpecStarted:
		r.usage.began(e.Spec)
	case e.Kind == report.SpecEnded && e.Result != nil:
		e.Result.Processor = r.usage.ended(e.Result.ID)
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
