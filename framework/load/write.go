package load

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

var benchPercentiles = []float64{50, 90, 99, 99.9}

// WriteBenchmark writes one line in the format of Go benchmarks, which
// benchstat compares. The name is made of letters, digits, = and /.
func (r Result) WriteBenchmark(w io.Writer, name string) error {
	line := fmt.Sprintf("Benchmark%s %d %.1f ns/op %.0f req/s %.0f client-ns/op", strings.ReplaceAll(name, " ", "_"), r.Answered(),
		1e9/max(r.PerSecond(), 1e-9), r.PerSecond(), float64(r.CPUPerRequest()))
	for _, kind := range r.kinds() {
		for _, p := range benchPercentiles {
			line += fmt.Sprintf(" %d p%g-%s-ns", kind.h.ValueAtPercentile(p)*1000, p, kind.name)
		}
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// WriteJSON writes everything that was measured, the histograms as the pairs of
// a value in microseconds and how often it was seen, so that those of several
// runs can be added up without loss.
func (r Result) WriteJSON(w io.Writer) error {
	type pair [2]int64
	histogram := func(h *hdrhistogram.Histogram) []pair {
		pairs := []pair{}
		for _, bar := range h.Distribution() {
			if bar.Count > 0 {
				pairs = append(pairs, pair{bar.To, bar.Count})
			}
		}
		return pairs
	}
	o := r.Options
	doc := map[string]any{
		"settings": map[string]any{
			"protocol": o.Protocol, "connections": o.Connections, "threads": o.Threads, "depth": o.Depth, "multiget": o.Multiget,
			"rate": o.Rate, "arrivals": o.Arrivals, "keys": o.Keys, "keySize": o.KeySize, "popular": o.Popular.String(), "values": o.Values.String(),
			"mix": []int{o.Gets, o.Sets, o.Deletes}, "expirySeconds": o.Expiry.Seconds(), "verifyOneIn": o.Verify,
			"warmUpSeconds": o.WarmUp.Seconds(), "seed": o.Seed,
		},
		"elapsedSeconds": r.Elapsed.Seconds(), "requests": r.Answered(), "perSecond": r.PerSecond(),
		"hits": r.Hits, "misses": r.Misses, "valueBytes": r.Received, "wrong": r.Wrong, "errors": r.Errors, "unsent": r.Unsent,
		"connectionsLost": r.Lost, "outagesSeconds": inSeconds(r.Outages), "clientCPUSeconds": r.ClientCPU.Seconds(), "serverCPUSeconds": r.ServerCPU.Seconds(), "serverCPUError": errorText(r.ServerCPUError),
		"tickSeconds": r.Tick.Seconds(), "answersInEachTick": r.Ticks, "complaints": r.Complaints, "invalid": r.Invalid,
		"latencyMicroseconds": map[string]any{"get": histogram(r.Get), "set": histogram(r.Set), "delete": histogram(r.Delete)},
		"lateMicroseconds":    histogram(r.Late),
	}
	return json.NewEncoder(w).Encode(doc)
}

func inSeconds(list []time.Duration) []float64 {
	seconds := make([]float64, len(list))
	for i, d := range list {
		seconds[i] = d.Seconds()
	}
	return seconds
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
