package traffic

import "testing"

func TestCounted(t *testing.T) {
	if got := counted(0, "errors", []string{"of another kind"}); got != "" {
		t.Errorf("no errors: %q", got)
	}
	if got, want := counted(2, "wrong answers", []string{"a", "b"}), "2 wrong answers: a; b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestThroughput(t *testing.T) {
	slow := throughput{Ratio: 0.7, Low: 0.65, High: 0.79, Pairs: 5}
	if got, want := slow.String(), "70 % (65 to 79 % in 5 pairs)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	noisy := throughput{Ratio: 0.7, Low: 0.5, High: 0.8, Pairs: 5}
	for want, tp := range map[bool]throughput{false: slow, true: noisy} {
		if got, err := reachDRAM.Match(tp); got != want || err != nil {
			t.Errorf("%s: %t, %v, want %t", tp, got, err, want)
		}
	}
}
