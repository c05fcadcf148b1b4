package load

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
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

// WriteJSON writes everything that was measured.
func (r Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
