package load

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

// Distribution says how often each key is asked for.
type Distribution struct {
	kind    string
	skew    float64 // zipf
	keys    float64 // hot: share of the keys
	traffic float64 // hot: share of the requests
}

// Uniform asks for all keys equally often.
func Uniform() Distribution { return Distribution{kind: "uniform"} }

// Sequential asks for one key after the other, in each thread from a place of its own.
func Sequential() Distribution { return Distribution{kind: "sequential"} }

// Zipf asks for the key of rank r in proportion to 1/r^skew. Caches in
// production have a skew of about 0.9 to 1.2: Yang, Yue, Rashmi, "A large scale
// analysis of hundreds of in-memory cache clusters at Twitter", OSDI 2020.
func Zipf(skew float64) Distribution { return Distribution{kind: "zipf", skew: skew} }

// Hot asks with a share of the traffic for a share of the keys.
func Hot(keys, traffic float64) Distribution {
	return Distribution{kind: "hot", keys: keys, traffic: traffic}
}

func (d Distribution) String() string {
	switch d.kind {
	case "zipf":
		return fmt.Sprintf("zipf:%g", d.skew)
	case "hot":
		return fmt.Sprintf("hot:%g:%g", d.keys, d.traffic)
	}
	return d.kind
}

func (d Distribution) validate(keys int64) error {
	refuse := func(remedy string) error { return &FieldError{"Popular", d.String(), remedy} }
	switch d.kind {
	case "uniform", "sequential":
	case "zipf":
		if !(d.skew > 0 && d.skew <= 10) {
			return refuse("give a skew above 0, up to 10")
		}
	case "hot":
		if !(d.keys > 0 && d.keys < 1 && d.traffic > 0 && d.traffic < 1) {
			return refuse("give shares between 0 and 1")
		}
		if d.keys*float64(keys) < 1 {
			return refuse("the share is less than one key; give more keys or a greater share")
		}
	default:
		return refuse("give uniform, sequential, zipf:SKEW or hot:KEYS:TRAFFIC")
	}
	return nil
}

// chooser draws keys, 0 to n-1.
type chooser struct {
	d    Distribution
	n    uint64
	hot  uint64
	next uint64
	zipf zipf
	step uint64 // coprime to n: rank r is key r*step mod n, so that popular keys do not lie together
}

// newChooser starts a sequence at start.
func newChooser(d Distribution, n, start uint64) *chooser {
	c := &chooser{d: d, n: n, hot: uint64(d.keys * float64(n)), next: start % n, step: 1}
	if d.kind == "zipf" {
		c.zipf = newZipf(d.skew, float64(n))
	}
	if n > 2 {
		for c.step = uint64(float64(n)*0.6180339887) | 1; gcd(c.step, n) != 1; {
			c.step += 2
		}
	}
	return c
}

func (c *chooser) key(rng *rand.PCG) uint64 {
	switch c.d.kind {
	case "sequential":
		k := c.next
		if c.next++; c.next == c.n {
			c.next = 0
		}
		return k
	case "zipf":
		return c.scatter(c.zipf.rank(rng) - 1)
	case "hot":
		if unit(rng) < c.d.traffic {
			return c.scatter(below(rng, c.hot))
		}
		return c.scatter(c.hot + below(rng, c.n-c.hot))
	}
	return below(rng, c.n)
}

func (c *chooser) scatter(rank uint64) uint64 {
	hi, lo := bits.Mul64(rank, c.step)
	_, rest := bits.Div64(hi, lo, c.n)
	return rest
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// unit is in [0, 1).
func unit(rng *rand.PCG) float64 { return float64(rng.Uint64()>>11) / (1 << 53) }

// below is in [0, n); its bias is at most n/2^64.
func below(rng *rand.PCG, n uint64) uint64 {
	hi, _ := bits.Mul64(rng.Uint64(), n)
	return hi
}

// zipf draws ranks by rejection-inversion, which needs no table and holds for
// every skew above 0: Hörmann, Derflinger, "Rejection-inversion to generate
// variates from monotone discrete distributions", ACM TOMACS 6(3), 1996.
type zipf struct {
	skew, n          float64
	first, last, cut float64
}

func newZipf(skew, n float64) zipf {
	z := zipf{skew: skew, n: n}
	z.first = z.integral(1.5) - 1
	z.last = z.integral(n + 0.5)
	z.cut = 2 - z.inverse(z.integral(2.5)-z.density(2))
	return z
}

func (z *zipf) rank(rng *rand.PCG) uint64 {
	for {
		u := z.last + unit(rng)*(z.first-z.last)
		x := z.inverse(u)
		k := math.Min(math.Max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.cut || u >= z.integral(k+0.5)-z.density(k) {
			return uint64(k)
		}
	}
}

func (z *zipf) density(x float64) float64 { return math.Exp(-z.skew * math.Log(x)) }

// integral of the density; at skew 1 it is the logarithm.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	return ratio(math.Expm1, (1-z.skew)*log) * log
}

func (z *zipf) inverse(y float64) float64 {
	t := math.Max(y*(1-z.skew), -1)
	return math.Exp(ratio(math.Log1p, t) * y)
}

// ratio is f(x)/x, continued to 1 at 0.
func ratio(f func(float64) float64, x float64) float64 {
	if math.Abs(x) < 1e-8 {
		return 1
	}
	return f(x) / x
}
