package report

import (
	"strings"
	"testing"
	"time"
)

func TestComparisonWords(t *testing.T) {
	for _, tt := range []struct {
		metric, better   string
		low, ratio, high float64
		pairs            int
		want             string
		worse            bool
	}{
		{"requests/s", Higher, 0.97, 1.01, 1.05, 8, "no difference shown (ratio 1.01, 95 % interval 0.97 to 1.05, 8 pairs)", false},
		{"requests/s", Higher, 0.95, 0.97, 0.99, 8, "3 % slower (ratio 0.97, 95 % interval 0.95 to 0.99, 8 pairs)", true},
		{"requests/s", Higher, 1.1, 1.25, 1.3, 8, "25 % faster (ratio 1.25, 95 % interval 1.10 to 1.30, 8 pairs)", false},
		{"p99", Lower, 1.1, 1.25, 1.3, 8, "25 % higher latency (ratio 1.25, 95 % interval 1.10 to 1.30, 8 pairs)", true},
		{"p99.9 of get", Lower, 0.5, 0.6, 0.7, 8, "40 % lower latency (ratio 0.60, 95 % interval 0.50 to 0.70, 8 pairs)", false},
		{"restart time", Lower, 2, 3.5, 4, 5, "250 % longer (ratio 3.50, 95 % interval 2.00 to 4.00, 5 pairs)", true},
		{"client CPU", Lower, 1.001, 1.002, 1.003, 8, "0.2 % higher (ratio 1.002, 95 % interval 1.001 to 1.003, 8 pairs)", true},
		{"requests/s", Higher, 0.012, 0.013, 0.014, 1, "99 % slower (ratio 0.013, 95 % interval 0.012 to 0.014, 1 pair)", true},
		{"requests/s", Higher, 0, 0, 0, 0, "not compared", false},
		{"requests/s", Higher, 0.9, 0.95, 1, 8, "no difference shown (ratio 0.95, 95 % interval 0.90 to 1.00, 8 pairs)", false},
	} {
		c := Comparison{Metric: tt.metric, Better: tt.better, Ratio: tt.ratio, Low: tt.low, High: tt.high, Confidence: 0.95, Pairs: tt.pairs}
		if got := c.Sentence(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.metric, got, tt.want)
		}
		if c.Worse() != tt.worse {
			t.Errorf("%s: worse %t, want %t", c.Sentence(), c.Worse(), tt.worse)
		}
	}
}

func TestThroughput(t *testing.T) {
	b := Benchmark{Operations: 100, Elapsed: 2 * time.Second}
	if got := b.Throughputs(); got != "50 requests/s" {
		t.Errorf("without samples: %s", got)
	}
	b.Samples = []Sample{{PerSecond: 3}, {PerSecond: 1}, {PerSecond: 100, Unsteady: "fell by\n20 %"}}
	b.Control = &Control{Name: "dram", Samples: []Sample{{PerSecond: 4, Unsteady: "rose"}, {PerSecond: 6}}}
	if got := b.Throughputs(); got != "pmem 3 requests/s, dram 5 requests/s" {
		t.Errorf("with samples: %s", got)
	}
	if got, want := strings.Join(b.Unsteady(), "; "), "pmem, sample 3 of 3: fell by | 20 %; dram, sample 1 of 2: rose"; got != want {
		t.Errorf("unsteady: %s, want %s", got, want)
	}
	if got := (Benchmark{Control: &Control{}}).Throughput(); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestMemoryStatement(t *testing.T) {
	node := func(name, value string) Fact { return Fact{Group: "node worker", Name: name, Value: value} }
	for _, tt := range []struct {
		name  string
		facts []Fact
		want  []string // parts of the sentences
	}{
		{"emulated", []Fact{node(FactEmulated, FactYes), node(FactMemory, "reserved by memmap=4G!4G")},
			[]string{"is emulated (reserved by memmap=4G!4G): it is DRAM"}},
		{"emulated under TCG", []Fact{node(FactEmulated, FactYes), node(FactAccelerator, FactTCG)},
			[]string{"Optane or CXL", "absolute figures say nothing about hardware"}},
		{"real", []Fact{node(FactEmulated, FactNo), node(FactMemory, "2 modules: 8089-a2, 8089-a3"), node(FactAccelerator, "none")},
			[]string{"is real (2 modules: 8089-a2, 8089-a3)."}},
		{"one of two is emulated", []Fact{node(FactEmulated, FactNo), node(FactEmulated, FactYes)}, []string{"is emulated"}},
		{"unknown", []Fact{node(FactEmulated, "unknown"), node(FactEmulated, FactNo)}, []string{"could not be found out"}},
		{"no facts", nil, []string{"could not be found out"}},
		{"a fact of another group", []Fact{{Group: "nodes", Name: FactEmulated, Value: FactYes}}, []string{"could not be found out"}},
	} {
		got := Document{Facts: tt.facts}.MemoryStatement()
		if len(got) != len(tt.want) {
			t.Errorf("%s: %q, want %d sentences", tt.name, got, len(tt.want))
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: %q, want %q in it", tt.name, got[i], want)
			}
		}
	}
}
