// Package load is a closed-loop load generator for memcached: every
// connection sends a request and waits for its answer before the next. Such a
// loop slows down with the server, so its percentiles are optimistic.
package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/bradfitz/gomemcache/memcache"
)

// Options describes a load.
type Options struct {
	Addr        string        // host:port of the server
	Connections int           // each with its own share of the keys
	Keys        int           // number of keys, at least one a connection
	ValueSize   int           // bytes, at least 16
	GetPercent  int           // share of gets; the rest are sets
	Duration    time.Duration // measured time, after all keys were stored once
	Timeout     time.Duration // of one request
	Seed        uint64        // the order of requests follows from it
}

// Latency are percentiles of the time from sending a request to its answer.
type Latency struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
}

// Result is what was measured. A run is good when Wrong and Errors are 0.
type Result struct {
	Operations  int64         // answered requests
	Elapsed     time.Duration // from the first measured request to the last answer
	Get, Set    Latency
	Wrong       int64    // answers that were not the value stored last, misses included
	Errors      int64    // requests without a valid answer
	Complaints  []string // the first few of both, in words
	Connections int
	ValueSize   int
}

const (
	highest    = time.Minute // latencies above are counted as this
	complaints = 5
)

func (o Options) validate() error {
	switch {
	case o.Connections < 1:
		return fmt.Errorf("load: Connections is %d, want 1 or more", o.Connections)
	case o.Keys < o.Connections:
		return fmt.Errorf("load: Keys is %d, want at least one for each of %d connections", o.Keys, o.Connections)
	case o.ValueSize < 16:
		return fmt.Errorf("load: ValueSize is %d, want 16 bytes or more", o.ValueSize)
	case o.GetPercent < 0 || o.GetPercent > 100:
		return fmt.Errorf("load: GetPercent is %d, want 0 to 100", o.GetPercent)
	case o.Duration <= 0:
		return fmt.Errorf("load: Duration is %s, want more than 0", o.Duration)
	case o.Timeout <= 0:
		return fmt.Errorf("load: Timeout is %s, want more than 0", o.Timeout)
	}
	return nil
}

// Run stores every key once and then loads the server for o.Duration. Each
// answer to a get is compared with what the connection stored last. The error
// is about a run that could not take place; bad answers are in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	workers := make([]*worker, o.Connections)
	for i := range workers {
		workers[i] = newWorker(o, i)
		defer workers[i].client.Close()
	}
	var stored sync.WaitGroup
	failed := make([]error, len(workers))
	for i, w := range workers {
		stored.Go(func() { failed[i] = w.store(ctx) })
	}
	stored.Wait()
	if err := errors.Join(failed...); err != nil {
		return Result{}, fmt.Errorf("load: store the keys at %s: %w", o.Addr, err)
	}

	start := time.Now()
	measured, cancel := context.WithDeadline(ctx, start.Add(o.Duration))
	defer cancel()
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(func() { w.loop(measured) })
	}
	running.Wait()
	elapsed := time.Since(start)
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("load: stopped after %s: %w", elapsed.Round(time.Millisecond), context.Cause(ctx))
	}

	res := Result{Elapsed: elapsed, Connections: o.Connections, ValueSize: o.ValueSize}
	gets, sets := newHistogram(), newHistogram()
	for _, w := range workers {
		gets.Merge(w.gets)
		sets.Merge(w.sets)
		res.Wrong += w.wrong
		res.Errors += w.errors
		res.Complaints = append(res.Complaints, w.complaints...)
	}
	res.Complaints = res.Complaints[:min(len(res.Complaints), complaints)]
	res.Get, res.Set = latency(gets), latency(sets)
	res.Operations = res.Get.Count + res.Set.Count
	return res, nil
}

// PerSecond is the number of answered requests per second.
func (r Result) PerSecond() float64 {
	return float64(r.Operations) / r.Elapsed.Seconds()
}

// String is a small table for people.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f ops/s: %d operations in %s, %d connections, %d-byte values, %d wrong, %d errors",
		r.PerSecond(), r.Operations, r.Elapsed.Round(time.Millisecond), r.Connections, r.ValueSize, r.Wrong, r.Errors)
	for _, line := range []struct {
		name string
		l    Latency
	}{{"get", r.Get}, {"set", r.Set}} {
		fmt.Fprintf(&b, "\n%s %9d  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", line.name, line.l.Count,
			short(line.l.P50), short(line.l.P90), short(line.l.P99), short(line.l.P999), short(line.l.Max))
	}
	for _, c := range r.Complaints {
		fmt.Fprintf(&b, "\n%s", c)
	}
	return b.String()
}

func short(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, highest.Microseconds(), 3)
}

func latency(h *hdrhistogram.Histogram) Latency {
	at := func(percentile float64) time.Duration {
		return time.Duration(h.ValueAtPercentile(percentile)) * time.Microsecond
	}
	return Latency{
		Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
		Max: time.Duration(h.Max()) * time.Microsecond,
	}
}

// worker owns one connection and the keys that no other worker touches, so it
// knows what each of them must hold.
type worker struct {
	client        *memcache.Client
	options       Options
	keys          []key
	rng           *rand.Rand
	gets, sets    *hdrhistogram.Histogram
	wrong, errors int64
	complaints    []string
}

type key struct {
	name    string
	version uint64 // of the value stored last
	unknown bool   // a set failed: either version may be there
}

func newWorker(o Options, index int) *worker {
	w := &worker{
		client: memcache.New(o.Addr), options: o, rng: rand.New(rand.NewPCG(o.Seed, uint64(index))),
		gets: newHistogram(), sets: newHistogram(),
	}
	w.client.Timeout = o.Timeout
	w.client.MaxIdleConns = 1
	for n := index; n < o.Keys; n += o.Connections {
		w.keys = append(w.keys, key{name: fmt.Sprintf("load-%016x-%d", o.Seed, n)})
	}
	return w
}

func (w *worker) store(ctx context.Context) error {
	for i := range w.keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := &w.keys[i]
		if err := w.client.Set(&memcache.Item{Key: k.name, Value: w.value(k)}); err != nil {
			return fmt.Errorf("set %s: %w", k.name, err)
		}
	}
	return nil
}

// value is a function of the key and its version, so that it need not be kept.
func (w *worker) value(k *key) []byte {
	data := make([]byte, 0, w.options.ValueSize+8)
	var hash uint64 = 14695981039346656037 // FNV-1a
	for _, c := range []byte(k.name) {
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	for rng := rand.NewPCG(hash, k.version); len(data) < w.options.ValueSize; {
		data = binary.LittleEndian.AppendUint64(data, rng.Uint64())
	}
	return data[:w.options.ValueSize]
}

func (w *worker) loop(ctx context.Context) {
	for ctx.Err() == nil {
		k := &w.keys[w.rng.IntN(len(w.keys))]
		if w.rng.IntN(100) < w.options.GetPercent {
			w.get(k)
		} else {
			w.set(k)
		}
	}
}

func (w *worker) get(k *key) {
	start := time.Now()
	item, err := w.client.Get(k.name)
	took := time.Since(start)
	switch {
	case errors.Is(err, memcache.ErrCacheMiss):
		w.wrong++
		w.complain("get %s: a miss, want version %d", k.name, k.version)
	case err != nil:
		w.errors++
		w.complain("get %s: %v", k.name, err)
		return
	case k.unknown:
	case string(item.Value) != string(w.value(k)):
		w.wrong++
		w.complain("get %s: %d bytes that are not version %d", k.name, len(item.Value), k.version)
	}
	record(w.gets, took)
}

func (w *worker) set(k *key) {
	k.version++
	value := w.value(k)
	start := time.Now()
	err := w.client.Set(&memcache.Item{Key: k.name, Value: value})
	took := time.Since(start)
	k.unknown = err != nil
	if err != nil {
		w.errors++
		w.complain("set %s: %v", k.name, err)
		return
	}
	record(w.sets, took)
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	us := min(max(took.Microseconds(), 1), highest.Microseconds())
	if err := h.RecordValue(us); err != nil {
		panic(err) // us lies within the histogram's bounds
	}
}

func (w *worker) complain(format string, args ...any) {
	if len(w.complaints) < complaints {
		w.complaints = append(w.complaints, fmt.Sprintf(format, args...))
	}
}
