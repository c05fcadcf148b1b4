package workbench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Run is a memcached that was started.
type Run struct {
	w       *Workbench
	initLog string
	output  output
	open    *cache.Client // once it was used
	ended   chan struct{}
	code    int // once ended
	err     error
}

func (r *Run) log() string { return r.initLog + r.output.String() }

// output is the output of a command so far.
type output struct {
	mu        sync.Mutex
	text      strings.Builder
	once      sync.Once
	listening chan struct{} // closed once memcached listens
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if strings.Contains(o.text.String(), listening) {
		o.once.Do(func() { close(o.listening) })
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Replace(o.text.String(), listening+"\n", "", 1)
}

// listening is the line that launch adds to the output.
const listening = "workbench: memcached listens"

// launch becomes the command in its arguments, and reports when a process listens
// on the port, which is $1 in hexadecimal digits.
const launch = `port=$1; shift
(
	until grep -q -i ":$port 0*:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null; do
		sleep 0.1
		kill -0 $$ 2>/dev/null || exit
	done
	echo "` + listening + `"
) &
exec "$@"`

// Start does what the kubelet does when it starts a pod, with arguments for memcached
// in addition to those of the deployment, once a warm start is possible. It returns
// an error if an init container or memcached does not start.
func (w *Workbench) Start(ctx context.Context, more string) (*Run, error) {
	r := &Run{w: w, ended: make(chan struct{}), output: output{listening: make(chan struct{})}}
	var err error
	if r.initLog, err = w.prepare(ctx); err != nil {
		return r, err
	}
	if w.downLongEnough != nil {
		w.downLongEnough()
	}
	args := deploy.JoinArgs(w.given, more)
	command := slices.Concat([]string{"sh", "-c", launch, "sh", fmt.Sprintf("%04X", deploy.Port(w.pod))}, w.withArgs(ctx, args, more))
	go func() {
		defer close(r.ended)
		r.code, r.err = w.e.Cluster.ExecTo(ctx, &r.output, &r.output, w.pod.Namespace, w.pod.Name, deploy.Container, command...)
	}()
	err = w.e.Waiter.Until(ctx, wait.MemcachedUp, "memcached in "+w.Name+" to listen", func(ctx context.Context) (bool, string, error) {
		select {
		case <-r.output.listening:
			return true, "it listens", nil
		case <-r.ended:
			return false, "", wait.Stop(r.how())
		case <-ctx.Done():
			return false, "it does not listen; log: " + Tail(r.log()), nil
		}
	})
	return r, err
}

// how is the way in which memcached has ended.
func (r *Run) how() error {
	if r.err != nil {
		return fmt.Errorf("lost the connection to memcached: %w: %s", r.err, Tail(r.log()))
	}
	return fmt.Errorf("memcached ended with exit code %d: %s", r.code, Tail(r.log()))
}

// maintained is how long the threads of memcached that maintain the cache take to come to items that were restored, at wait scale 1.
const maintained = 2 * time.Second

// Holds returns an error if memcached, which listens, ends soon after its start.
func (r *Run) Holds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(float64(maintained)*r.w.e.Config.WaitScale.Max()))
	defer cancel()
	select {
	case <-r.ended:
		return r.how()
	case <-ctx.Done():
		return nil
	}
}

// prepare runs the init containers and returns their output.
func (w *Workbench) prepare(ctx context.Context) (log string, err error) {
	for _, c := range w.inits {
		command := w.expand(ctx, c.Name, slices.Concat(c.Command, c.Args), "")
		done, err := w.e.Cluster.Exec(ctx, w.pod.Namespace, w.pod.Name, c.Name, command...)
		w.e.NoError(err, "run init container %s in %s", c.Name, w.Name)
		log += done.Stdout + done.Stderr
		if done.ExitCode != 0 {
			return log, fmt.Errorf("init container %s ended with exit code %d: %s", c.Name, done.ExitCode, Tail(log))
		}
	}
	return log, nil
}

// withArgs is the command of memcached with args in its variable, or with more in its list of arguments.
func (w *Workbench) withArgs(ctx context.Context, args, more string) []string {
	if w.lists {
		return slices.Concat(w.expand(ctx, deploy.Container, w.command, ""), strings.Fields(more))
	}
	return slices.Concat([]string{"env", deploy.ArgsVariable + "=" + args}, w.expand(ctx, deploy.Container, w.command, args))
}

// Tail has the last lines of a log.
func Tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}

// Stop ends memcached as the kubelet does, with SIGTERM to the process of the
// container, and returns its log.
func (r *Run) Stop(ctx context.Context) string { return r.end(ctx, "TERM", "top") }

// Kill ends memcached with SIGKILL and returns its log.
func (r *Run) Kill(ctx context.Context) string { return r.end(ctx, "KILL", "itself") }

// Crash ends memcached and what has started it with SIGKILL, as the end of the node does, and returns its log.
func (r *Run) Crash(ctx context.Context) string { return r.end(ctx, "KILL", "all") }

func (r *Run) end(ctx context.Context, signal, whom string) string {
	r.Disconnect()
	idle.Run(ctx, r.w.e, r.w.pod, deploy.Container, fmt.Sprintf("send SIG%s in %s", signal, r.w.Name), "sh", "-c", workload.SignalScript, "sh", signal, whom)
	r.Await(ctx)
	return r.log()
}

// Await waits until memcached has ended.
func (r *Run) Await(ctx context.Context) {
	err := r.w.e.Waiter.Until(ctx, wait.MemcachedDown, "memcached in "+r.w.Name+" to end", func(ctx context.Context) (bool, string, error) {
		select {
		case <-r.ended:
			return true, fmt.Sprintf("exit code %d", r.code), nil
		case <-ctx.Done():
			return false, "it runs", nil
		}
	})
	if err == nil {
		err = r.err
	}
	r.w.e.NoError(err, "see the end of memcached in %s", r.w.Name)
	r.w.downLongEnough = workload.AwaitDowntime(ctx, r.w.e)
}

// MustStart ends the spec with req not met when memcached does not start.
func (w *Workbench) MustStart(ctx context.Context, req spec.ReqID, check, args string) *Run {
	r, err := w.Start(ctx, args)
	w.e.Require(req, check, w.Name, err, framework.Succeed)
	return r
}

// StartAtOnce makes the next start follow the stop at once.
func (w *Workbench) StartAtOnce() { w.downLongEnough = nil }

// Client is a client of the memcached while it runs.
func (r *Run) Client(ctx context.Context) *cache.Client {
	if r.open == nil {
		r.open = cache.Open(ctx, r.w.e, r.w.pod)
	}
	return r.open
}

// Disconnect closes the client. Stop and Kill do so, too.
func (r *Run) Disconnect() {
	if r.open != nil {
		r.open.Close()
		r.open = nil
	}
}

// Store stores items.
func (r *Run) Store(ctx context.Context, items []memcached.Item) {
	r.Client(ctx).Store(ctx, r.w.e, items...)
}

// Served counts how many of items memcached serves.
func (r *Run) Served(ctx context.Context, items []memcached.Item) stock.Tally {
	return stock.Served(ctx, r.w.e, r.Client(ctx), items)
}
