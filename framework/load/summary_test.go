package load

import "testing"

func TestLatency(t *testing.T) {
	for microseconds, want := range map[int64]string{0: "0s", 7: "7µs", 999: "999µs", 5763: "5.76ms", 18_879: "18.9ms", 104_767: "105ms", 1_234_567: "1.23s", 62_000_000: "1m2s"} {
		if got := latency(microseconds); got != want {
			t.Errorf("%d µs: %s, want %s", microseconds, got, want)
		}
	}
}
