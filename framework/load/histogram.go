package load

import (
	"encoding/json"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram counts latencies in microseconds, with 3 digits from 1 µs to a
// minute; later ones count as a minute. In JSON it is a list of pairs, a value
// and how often it was seen, from which the same histogram can be made.
type Histogram struct{ *hdrhistogram.Histogram }

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, highest.Microseconds(), 3)
}

// record rounds to the nearest microsecond.
func record(h *hdrhistogram.Histogram, nanoseconds, times int64) {
	us := min(max((nanoseconds+500)/1000, 1), highest.Microseconds())
	if err := h.RecordValues(us, times); err != nil {
		panic(err) // us lies within the histogram's bounds
	}
}

// MarshalJSON implements [json.Marshaler].
func (h Histogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]int64{}
	if h.Histogram != nil {
		for _, bar := range h.Distribution() {
			if bar.Count > 0 {
				pairs = append(pairs, [2]int64{bar.To, bar.Count})
			}
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var pairs [][2]int64
	if err := json.Unmarshal(data, &pairs); err != nil {
		return fmt.Errorf("read a histogram: %w", err)
	}
	h.Histogram = newHistogram()
	for _, pair := range pairs {
		// The upper end of the last bar may lie above the bound that it stands for.
		if err := h.RecordValues(min(pair[0], highest.Microseconds()), pair[1]); err != nil {
			return fmt.Errorf("read a histogram: %d µs, %d times: %w", pair[0], pair[1], err)
		}
	}
	return nil
}

// merged is the sum of histograms, without loss.
func merged(all ...Histogram) Histogram {
	sum := newHistogram()
	for _, h := range all {
		sum.Merge(h.Histogram)
	}
	return Histogram{sum}
}
