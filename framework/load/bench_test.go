package load

import (
	"cmp"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"golang.org/x/sys/unix"
)

// The benchmarks pair this generator with others in one run, one after the
// other several times, and report ratios. They are meant for make bench-load,
// which gives client and server a processor each.
const (
	pairs     = 5
	benchTime = time.Second
)

// pinned is a command on the processor that make bench-load has for servers.
func pinned(command ...string) []string {
	if cpu := os.Getenv("SERVER_CPU"); cpu != "" {
		return append([]string{"taskset", "-c", cpu}, command...)
	}
	return command
}

func benchOptions(addr string) Options {
	o := Default(addr)
	o.Gets, o.Sets, o.WarmUp, o.Duration = 1, 0, 200*time.Millisecond, benchTime
	return o
}

// BenchmarkAgainstGomemcache compares gets of verified values.
func BenchmarkAgainstGomemcache(b *testing.B) {
	for _, setting := range []struct {
		name           string
		size, multiget int
	}{{"100B", 100, 1}, {"1000B", 1000, 1}, {"100B-multiget16", 100, 16}, {"100B-multiget50", 100, 50}} {
		b.Run(setting.name, func(b *testing.B) {
			addr, command := free(b)
			start(b, addr, pinned(command...)...)
			o := benchOptions(addr)
			o.Protocol, o.Values, o.Multiget = Text, Fixed(setting.size), setting.multiget
			for b.Loop() {
				var rates, costs []float64
				var own sample
				for range pairs {
					r, err := Run(b.Context(), o)
					if err != nil || r.Wrong > 0 || r.Errors > 0 {
						b.Fatalf("%v %s", err, r)
					}
					own = sample{r.PerSecond() * float64(o.Multiget), float64(r.CPUPerRequest()) / float64(o.Multiget)}
					other := gomemcache(b, o)
					rates, costs = append(rates, own.rate/other.rate), append(costs, own.cost/other.cost)
				}
				b.ReportMetric(own.rate, "keys/s")
				b.ReportMetric(own.cost, "client-ns/key")
				b.ReportMetric(median(rates), "x-rate")
				b.ReportMetric(median(costs), "x-client-cpu")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

type sample struct {
	rate float64 // keys a second
	cost float64 // nanoseconds of processor time of the client for each key
}

func median(v []float64) float64 {
	slices.SortFunc(v, cmp.Compare)
	return v[len(v)/2]
}

// gomemcache does what the generator does at depth 1, with a goroutine for each
// connection.
func gomemcache(b *testing.B, o Options) sample {
	w := newWire(o, newContents(o.Values, o.Seed))
	client := memcache.New(o.Addr)
	client.MaxIdleConns, client.Timeout = o.Connections, o.Timeout
	defer client.Close()
	var before, after unix.Rusage
	counts := make([]int64, o.Connections)
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	start := time.Now()
	var running sync.WaitGroup
	for i := range counts {
		running.Go(func() {
			chooser, rng := newChooser(o.Popular, uint64(o.Keys), 0), rand.NewPCG(o.Seed, uint64(i))
			keys, numbers := make([]string, o.Multiget), make([]uint64, o.Multiget)
			for time.Since(start) < o.Duration {
				for k := range keys {
					numbers[k] = chooser.key(rng)
					keys[k] = string(w.appendKey(nil, numbers[k]))
				}
				items := map[string]*memcache.Item{}
				var err error
				if o.Multiget == 1 {
					items[keys[0]], err = client.Get(keys[0])
				} else {
					items, err = client.GetMulti(keys)
				}
				for k := range keys {
					if item := items[keys[k]]; err != nil || item == nil || !w.contents.holds(numbers[k], item.Value) {
						b.Errorf("gomemcache: get %s: %v", keys[k], err)
						return
					}
				}
				counts[i] += int64(o.Multiget)
			}
		})
	}
	running.Wait()
	elapsed := time.Since(start)
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	var n int64
	for _, count := range counts {
		n += count
	}
	return sample{float64(n) / elapsed.Seconds(), float64(cpuTime(after)-cpuTime(before)) / float64(n)}
}
