package load

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestZipf compares frequencies with theory by the largest distance of the
// cumulative distributions, which for n draws stays below 1.95/sqrt(n) in 999
// of 1000 cases (Kolmogorov, Smirnov). The seed is fixed.
func TestZipf(t *testing.T) {
	const draws = 200000
	for _, skew := range []float64{0.5, 0.99, 1, 1.2, 2.5} {
		for _, n := range []int{1, 2, 100, 10000} {
			z, rng := newZipf(skew, float64(n)), rand.NewPCG(1, 2)
			seen, sum := make([]int, n+1), 0.0
			for range draws {
				seen[z.rank(rng)]++
			}
			for r := 1; r <= n; r++ {
				sum += math.Pow(float64(r), -skew)
			}
			var want, got, distance float64
			for r := 1; r <= n; r++ {
				want += math.Pow(float64(r), -skew) / sum
				got += float64(seen[r]) / draws
				distance = math.Max(distance, math.Abs(want-got))
			}
			if seen[0] != 0 || distance > 1.95/math.Sqrt(draws) {
				t.Errorf("skew %g of %d: distance %g", skew, n, distance)
			}
		}
	}
}

func TestChooser(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 10, 4096, 10007} {
		c := newChooser(Zipf(1), n, 0)
		seen := map[uint64]bool{}
		for r := range n {
			seen[c.scatter(r)] = true
		}
		if uint64(len(seen)) != n {
			t.Errorf("%d ranks became %d keys", n, len(seen))
		}
	}
	rng := rand.NewPCG(3, 4)
	const draws = 100000
	hot := newChooser(Hot(0.1, 0.9), 1000, 0)
	popular := map[uint64]bool{}
	for r := range hot.hot {
		popular[hot.scatter(r)] = true
	}
	inside := 0
	for range draws {
		k := hot.key(rng)
		if k >= 1000 {
			t.Fatalf("key %d of 1000", k)
		}
		if popular[k] {
			inside++
		}
	}
	if share := float64(inside) / draws; len(popular) != 100 || math.Abs(share-0.9) > 0.005 {
		t.Errorf("%d hot keys have %g of the requests", len(popular), share)
	}
	sequence := newChooser(Sequential(), 3, 2)
	for _, want := range []uint64{2, 0, 1, 2} {
		if got := sequence.key(rng); got != want {
			t.Errorf("sequential: %d, want %d", got, want)
		}
	}
	var sum float64
	uniform := newChooser(Uniform(), 1000, 0)
	for range draws {
		sum += float64(uniform.key(rng))
	}
	if mean := sum / draws; math.Abs(mean-499.5) > 5 { // 5 deviations of the mean
		t.Errorf("uniform: mean %g", mean)
	}
}

// TestEtc compares the quartiles with the distribution's own: scale/shape *
// ((1-p)^-shape - 1).
func TestEtc(t *testing.T) {
	s := Etc(1 << 20)
	const n = 100000
	below := map[float64]int{}
	for k := range uint64(n) {
		for _, p := range []float64{0.25, 0.5, 0.75, 0.99} {
			if float64(s.of(k)) < 214.476/0.348238*(math.Pow(1-p, -0.348238)-1) {
				below[p]++
			}
		}
	}
	for p, count := range below {
		if got := float64(count) / n; math.Abs(got-p) > 0.01 {
			t.Errorf("%g of the values are below the quantile of %g", got, p)
		}
	}
}
