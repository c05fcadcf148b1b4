package load

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

// others are clients that the generator is paired with.
var others = map[string]func(*testing.B, Options) sample{"gomemcache": gomemcache, "memaslap": memaslap}

// published is the processor time of a key, in µs, that the clients took in addition to
// each other against memcached 1.6.18 with one thread, 32 connections, client
// and server on a processor each: medians of 2 to 6 runs. mc-crusher and
// memtier_benchmark are in no Debian suite, and are compared with through these
// ratios.
var published = map[string]map[string]float64{
	"100B":            {"gomemcache": 6.9, "memaslap": 5.7, "mc-crusher": 6.1, "memtier": 8.2},
	"1000B":           {"gomemcache": 7.4, "memaslap": 6.0, "mc-crusher": 5.6, "memtier": 8.6},
	"100B-multiget16": {"gomemcache": 1.04, "memaslap": 0.60, "mc-crusher": 0.47, "memtier": 8.7},
	"100B-multiget50": {"gomemcache": 0.65, "memaslap": 0.30, "mc-crusher": 0.24, "memtier": 9.0},
}

// BenchmarkGets compares gets with those of other clients, the processor time
// of a key first. Only this generator and gomemcache verify the values.
func BenchmarkGets(b *testing.B) {
	for _, setting := range []struct {
		name           string
		size, multiget int
	}{{"100B", 100, 1}, {"1000B", 1000, 1}, {"100B-multiget16", 100, 16}, {"100B-multiget50", 100, 50}} {
		b.Run(setting.name, func(b *testing.B) {
			addr, command := free(b)
			start(b, addr, pinned(append(command, "-m", "512")...)...)
			o := benchOptions(addr)
			o.Protocol, o.Values, o.Multiget = Text, Fixed(setting.size), setting.multiget
			for b.Loop() {
				var own []sample
				rates, costs := map[string][]float64{}, map[string][]float64{}
				for range pairs {
					mine := generator(b, o)
					own = append(own, mine)
					for name, run := range others {
						other := run(b, o)
						rates[name] = append(rates[name], mine.rate/other.rate)
						costs[name] = append(costs[name], mine.cost/other.cost)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(own, func(s sample) float64 { return s.rate }), "keys/s")
				b.ReportMetric(median(own, func(s sample) float64 { return s.cost }), "client-ns/key")
				for name := range others {
					b.ReportMetric(median(rates[name], identity), "rate/"+name)
					cost := median(costs[name], identity)
					b.ReportMetric(cost, "cpu/"+name)
					for _, absent := range []string{"mc-crusher", "memtier"} {
						was := published[setting.name]
						b.ReportMetric(cost*was[name]/was[absent], "derived-cpu/"+absent+"-by-"+name)
					}
				}
			}
		})
	}
}

type sample struct {
	rate float64 // keys a second
	cost float64 // nanoseconds of processor time of the client for each key
}

func identity(v float64) float64 { return v }

// median is that of what of gives for each of list.
func median[T any](list []T, of func(T) float64) float64 {
	v := make([]float64, len(list))
	for i, each := range list {
		v[i] = of(each)
	}
	return middleOf(v)
}

// measure fails the benchmark unless every answer is right.
func measure(b *testing.B, o Options) Result {
	b.Helper()
	r, err := Run(b.Context(), o)
	if err != nil || r.Wrong > 0 || r.Errors > 0 {
		b.Fatalf("%v %d wrong, %d errors, %q", err, r.Wrong, r.Errors, r.Complaints)
	}
	return r
}

func generator(b *testing.B, o Options) sample {
	r := measure(b, o)
	return sample{r.PerSecond() * float64(o.Multiget), float64(r.CPUPerRequest()) / float64(o.Multiget)}
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

// memaslap is Debian's memcaslap, of libmemcached-tools. It stores some keys of
// its own first, which count, and takes about 0.1 s to begin, which counts too.
func memaslap(b *testing.B, o Options) sample {
	config := filepath.Join(b.TempDir(), "memaslap.cnf")
	text := fmt.Sprintf("key\n%d %d 1\nvalue\n%d %d 1\ncmd\n0 0.0\n1 1.0\n", o.KeySize, o.KeySize, o.Values.max, o.Values.max)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("memcaslap", "-s", o.Addr, "-T", "1", "-c", strconv.Itoa(o.Connections), "-t", "3s", "-w", "1k", "-F", config, "-d", strconv.Itoa(o.Multiget))
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("memcaslap, of Debian's libmemcached-tools: %v\n%s", err, out)
	}
	number := func(name string) float64 {
		_, after, _ := strings.Cut(string(out), name)
		word, _, _ := strings.Cut(strings.TrimSpace(after), " ")
		word, _, _ = strings.Cut(word, "\n")
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			b.Fatalf("memcaslap says no %s\n%s", name, out)
		}
		return n
	}
	if number("get_misses:") > 0 {
		b.Fatalf("memcaslap missed keys\n%s", out)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return sample{number("TPS:"), float64(cpu) / (number("cmd_get:") + number("cmd_set:"))}
}
