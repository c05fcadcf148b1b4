package report

import "time"

// PerSecond is the throughput in operations a second.
func (b Benchmark) PerSecond() float64 {
	if b.Elapsed <= 0 {
		return 0
	}
	return float64(b.Operations) / b.Elapsed.Seconds()
}

// At is the latency that percent of the requests did not exceed, when it was
// measured.
func (l LatencyOfRequest) At(percent float64) (time.Duration, bool) {
	for _, p := range l.Percentiles {
		if p.Percent == percent {
			return p.Latency, true
		}
	}
	return 0, false
}
