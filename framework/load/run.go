package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

var errStopped = errors.New("stopped")

// Result is what was measured. In JSON durations are in nanoseconds.
type Result struct {
	Options Options       `json:"options"`
	Began   time.Time     `json:"began"` // what was measured, by the wall clock
	Elapsed time.Duration `json:"elapsed"`
	// Requests that were answered, by kind; a get of several keys is one.
	Get    Histogram `json:"get"`
	Set    Histogram `json:"set"`
	Delete Histogram `json:"delete"`
	// Late is how long after their intended start requests were sent: in an
	// open loop what the client itself adds to the latency.
	Late     Histogram     `json:"late"`
	Tick     time.Duration `json:"tick"`
	Ticks    []int64       `json:"ticks"`    // answers in each Tick
	HitTicks []int64       `json:"hitTicks"` // values in each Tick
	Hits     int64         `json:"hits"`     // values that came
	Misses   int64         `json:"misses"`
	Received int64         `json:"received"` // bytes of values
	Wrong    int64         `json:"wrong"`    // values, or their absence, that were not what had to be there
	Errors   int64         `json:"errors"`   // requests without a valid answer
	Unsent   int64         `json:"unsent"`   // requests of an open loop for which no connection was free
	Lost     int64         `json:"lost"`     // connections
	// Outages are the times, of each thread, from the loss of its last
	// connection to the next answer.
	Outages []time.Duration `json:"outages"`
	// ClientCPU is the processor time of the threads that sent and received.
	ClientCPU time.Duration `json:"clientCPU"`
	// ServerCPU is that of the server by its own account, in the measured
	// time; ServerCPUUnknown says why it is not known.
	ServerCPU        time.Duration `json:"serverCPU"`
	ServerCPUUnknown string        `json:"serverCPUUnknown,omitempty"`

	// Server is what the server reported about itself before the load; zero: nothing.
	Server Server `json:"server"`

	// WarmUp is how long it lasted. WarmUpUnsteady says why the throughput was not
	// steady at its end; it is empty when it was, and without SteadyWithin.
	WarmUp         time.Duration `json:"warmUp"`
	WarmUpUnsteady string        `json:"warmUpUnsteady,omitempty"`
	// Unsteady says why the throughput was not steady while it was measured;
	// empty: it was.
	Unsteady string `json:"unsteady,omitempty"`
	// ClockStep is by how much the wall clock was set during the run; latencies
	// are those of the monotonic clock.
	ClockStep time.Duration `json:"clockStep,omitempty"`

	Notes      []string `json:"notes,omitempty"`      // what was not as wanted and leaves the figures valid
	Complaints []string `json:"complaints,omitempty"` // the first few errors and wrong answers, in words
	Invalid    []string `json:"invalid,omitempty"`    // why the figures say little about the server
}

// Run prepares a load and measures it. The error is about a run that could not
// take place; what went wrong in one that did is in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	p, err := Prepare(ctx, o)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return p.Measure(ctx)
}

// A Prepared load has its connections, and its keys are stored.
type Prepared struct {
	options Options
	begin   *beginning
	loops   []*loop
	server  Server
	notes   []string
}

// Prepare asks the server what it can do, connects to it and stores the keys,
// unless the options say that they are there or that gets need not find any.
func Prepare(ctx context.Context, o Options) (*Prepared, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	server, notes, err := consult(ctx, o)
	if err != nil {
		return nil, err
	}
	if o, err = o.Filled(server); err != nil {
		return nil, err
	}
	begin := newBeginning()
	loops, err := newLoops(o, begin)
	if err != nil {
		return nil, err
	}
	p := &Prepared{o, begin, loops, server, notes}
	stores := !o.Preloaded && (!o.MayMiss || o.Gets > 0)
	err = together(ctx, loops, func(l *loop) error {
		if err := l.open(); err != nil || !stores {
			return err
		}
		return l.storeKeys(ctx.Done())
	})
	if err == nil && stores {
		err = kept(ctx, o, server)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the connections.
func (p *Prepared) Close() {
	for _, l := range p.loops {
		l.close()
	}
}

// Measure loads the server. It can be called once.
func (p *Prepared) Measure(ctx context.Context) (Result, error) {
	o, loops := p.options, p.loops
	offset := clockOffset(wall, monotonic)
	start := loops[0].now() + int64(10*time.Millisecond)
	watched, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.SteadyWithin > 0 {
		go p.begin.warmUntilSteady(watched, o, loops, start)
	} else {
		p.begin.set(loops[0].base, start, start+int64(o.WarmUp), "")
	}
	server := watchServer(watched, o, p.begin.done)
	if err := together(ctx, loops, func(l *loop) error { return l.run(start, ctx.Done()) }); err != nil {
		return Result{}, err
	}
	all := newStats(o)
	for _, l := range loops {
		all.merge(l.stats)
	}
	r := newResult(o, all)
	r.Server, r.Notes, r.ClockStep = p.server, p.notes, clockStep(offset, clockOffset(wall, monotonic))
	watch := <-server
	r.ServerCPU = watch.used
	if watch.err != nil {
		r.ServerCPUUnknown = watch.err.Error()
	}
	r.Began, r.WarmUp, r.WarmUpUnsteady = watch.warmUp.end.UTC().Round(0), watch.warmUp.lasted, watch.warmUp.unsteady
	return r, nil
}

func newLoops(o Options, begin *beginning) ([]*loop, error) {
	to, err := net.ResolveTCPAddr("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", o.Addr, err)
	}
	base, contents := time.Now(), newContents(o.Values, o.Seed)
	var latest []uint32
	if o.Owned {
		latest = make([]uint32, o.Keys)
	}
	loops := make([]*loop, o.Threads)
	first := uint64(o.Client * o.Threads) // among the threads of all clients
	threads, keys := uint64(max(o.Clients, 1)*o.Threads), uint64(o.Keys)
	for i := range loops {
		n := first + uint64(i)
		l := &loop{
			options: o, addr: netip.AddrPortFrom(to.AddrPort().Addr().Unmap(), to.AddrPort().Port()), wire: newWire(o, contents),
			chooser: newChooser(o.Popular, keys, keys/threads*n), rng: rand.NewPCG(o.Seed, n), base: base, epoll: -1,
			now: func() int64 { return int64(time.Since(base)) }, beginning: begin,
			in: make([]byte, readSize), stamp: mix(o.Seed^n) &^ 0xffffffffff, latest: latest, stats: newStats(o),
		}
		l.wait = l.poll
		l.preload.next, l.preload.end = keys*n/threads, keys*(n+1)/threads
		for j := i; j < o.Connections; j += o.Threads {
			l.conns = append(l.conns, &conn{index: int32(len(l.conns)), owner: uint64(j), fd: -1})
		}
		loops[i] = l
	}
	return loops, nil
}

// together waits for all loops. When ctx has ended its cause is the error.
func together(ctx context.Context, loops []*loop, do func(*loop) error) error {
	failed := make([]error, len(loops))
	var running sync.WaitGroup
	for i, l := range loops {
		running.Go(func() { failed[i] = do(l) })
	}
	running.Wait()
	err := errors.Join(failed...)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("load %s: %w", loops[0].options.Addr, err)
}

// Shares at which the client is held to be the limit, not the server.
const (
	busyShare = 0.95 // of the time of its threads, in a closed loop
	rateShare = 0.99 // of the rate, in an open loop
)

func newResult(o Options, s stats) Result {
	r := Result{
		Options: o, Elapsed: o.Duration, Get: Histogram{s.latency[opGet]}, Set: Histogram{s.latency[opSet]}, Delete: Histogram{s.latency[opDelete]},
		Late: Histogram{s.late}, Ticks: s.ticks, HitTicks: s.hitTicks, Tick: tickEvery, Hits: s.hits, Misses: s.misses, Received: s.received, Wrong: s.wrong, Errors: s.errors,
		Unsent: s.unsent, Lost: s.lost, Outages: s.outages, ClientCPU: s.cpu, Complaints: s.complaints,
	}
	r.Unsteady = unsteady(r.Ticks[:o.Duration/tickEvery], tickEvery)
	busy := s.cpu.Seconds() / (o.Duration.Seconds() * float64(o.Threads))
	if busy > busyShare {
		r.Invalid = append(r.Invalid, fmt.Sprintf("the client was the limit: its %d threads were busy for %.0f %% of the time; give it more threads or processors, or a lower rate", o.Threads, 100*busy))
	}
	if got := r.PerSecond(); o.Rate > 0 && got < rateShare*o.Rate && o.Duration.Seconds()*o.Rate > 10000 {
		r.Invalid = append(r.Invalid, fmt.Sprintf("%.0f requests a second were answered, want %.0f", got, o.Rate))
	}
	if s.unsent > 0 {
		r.Invalid = append(r.Invalid, fmt.Sprintf("%d requests could not be sent: no connection was free for them", s.unsent))
	}
	return r
}

// kind is a kind of request.
type kind struct {
	name string
	h    Histogram
}

// kinds are those of the requests that were answered.
func (r Result) kinds() []kind {
	var answered []kind
	for i, h := range [operations]Histogram{opGet: r.Get, opSet: r.Set, opDelete: r.Delete} {
		if h.Histogram != nil && h.TotalCount() > 0 {
			answered = append(answered, kind{operationNames[i], h})
		}
	}
	return answered
}

// All holds the latencies of requests of every kind.
func (r Result) All() Histogram { return merged(r.Get, r.Set, r.Delete) }

// Answered is the number of requests with a valid answer.
func (r Result) Answered() int64 {
	var n int64
	for _, k := range r.kinds() {
		n += k.h.TotalCount()
	}
	return n
}

// PerSecond is the number of answered requests a second.
func (r Result) PerSecond() float64 { return float64(r.Answered()) / r.Elapsed.Seconds() }

// CPUPerRequest is the client's processor time for each answered request.
func (r Result) CPUPerRequest() time.Duration {
	return r.ClientCPU / time.Duration(max(r.Answered(), 1))
}

func (r Result) serverCPU() string {
	if r.ServerCPUUnknown != "" {
		return "unknown (" + r.ServerCPUUnknown + ")"
	}
	return fmt.Sprintf("%.2f µs", float64(r.ServerCPU.Nanoseconds())/1000/float64(max(r.Answered(), 1)))
}
