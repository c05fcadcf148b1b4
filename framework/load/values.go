package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// Sizes says how long the value of each key is. A key has the same size every
// time, so that the size is verified too.
type Sizes struct {
	kind     string
	min, max int // bytes
}

// Fixed gives all values the same size.
func Fixed(size int) Sizes { return Sizes{kind: "fixed", min: size, max: size} }

// Between spreads the sizes uniformly; both ends belong to them.
func Between(least, most int) Sizes { return Sizes{kind: "between", min: least, max: most} }

// Etc is the generalized Pareto distribution that was fitted to the values of a
// general-purpose pool, cut off at most bytes: Atikoglu, Xu, Frachtenberg,
// Jiang, Paleczny, "Workload analysis of a large-scale key-value store",
// SIGMETRICS 2012, table 5 (scale 214.476, shape 0.348238).
func Etc(most int) Sizes { return Sizes{kind: "etc", min: minValueSize, max: most} }

func (s Sizes) String() string {
	switch s.kind {
	case "fixed":
		return fmt.Sprintf("%d", s.min)
	case "between":
		return fmt.Sprintf("%d-%d", s.min, s.max)
	}
	return fmt.Sprintf("%s:%d", s.kind, s.max)
}

func (s Sizes) validate() error {
	switch {
	case s.kind != "fixed" && s.kind != "between" && s.kind != "etc":
		return &FieldError{"Values", s.String(), "give SIZE, MIN-MAX or etc:MAX"}
	case s.min < minValueSize || s.max > maxValueSize || s.min > s.max:
		return &FieldError{"Values", s.String(), fmt.Sprintf("give sizes from %d to %d bytes, the smaller first", minValueSize, maxValueSize)}
	}
	return nil
}

func (s Sizes) of(key uint64) int {
	switch s.kind {
	case "between":
		return s.min + int(mix(key)%uint64(s.max-s.min+1))
	case "etc":
		const scale, shape = 214.476, 0.348238
		u := (float64(mix(key)>>11) + 0.5) / (1 << 53)
		return min(max(int(scale/shape*(math.Pow(u, -shape)-1)), s.min), s.max)
	}
	return s.min
}

// mix is the finaliser of splitmix64: Steele, Lea, Flood, OOPSLA 2014.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A value begins with its key's number and a stamp of who wrote it when, and
// continues with bytes that follow from both.
const headerSize = 16

// contents makes and recognises values without keeping any.
type contents struct {
	sizes Sizes
	noise []byte // random; a value is a window on it
}

const windows = 1 << 14 // starts of them, a power of two

func newContents(sizes Sizes, seed uint64) *contents {
	noise := make([]byte, sizes.max+windows)
	chacha := [32]byte{}
	binary.LittleEndian.PutUint64(chacha[:], seed)
	_, _ = rand.NewChaCha8(chacha).Read(noise) // never fails
	return &contents{sizes: sizes, noise: noise}
}

// append adds the value of a key, which has that size, to b.
func (c *contents) append(b []byte, key, stamp uint64, size int) []byte {
	b = binary.LittleEndian.AppendUint64(b, key)
	b = binary.LittleEndian.AppendUint64(b, stamp)
	return append(b, c.window(key, stamp, size)...)
}

func (c *contents) window(key, stamp uint64, size int) []byte {
	start := mix(key^mix(stamp)) % windows
	return c.noise[start : start+uint64(size-headerSize)]
}

// holds reports whether value is one that was stored under key at some time.
func (c *contents) holds(key uint64, value []byte) bool {
	return len(value) == c.sizes.of(key) && binary.LittleEndian.Uint64(value) == key &&
		bytes.Equal(value[headerSize:], c.window(key, stampOf(value), len(value)))
}

func stampOf(value []byte) uint64 { return binary.LittleEndian.Uint64(value[8:]) }

// Bytes of a mismatch that are shown: of the same before the first that
// differs, and from there on.
const (
	shownBefore = 4
	shownAfter  = 12
)

// mismatch says how value differs from what must be there, which has the
// stamp of value.
func (c *contents) mismatch(key uint64, value []byte) string {
	var stamp uint64
	if len(value) >= headerSize {
		stamp = stampOf(value)
	}
	want := c.append(nil, key, stamp, c.sizes.of(key))
	at := 0
	for at < min(len(value), len(want)) && value[at] == want[at] {
		at++
	}
	from := max(at-shownBefore, 0)
	show := func(b []byte) string {
		b = b[min(from, len(b)):min(at+shownAfter, len(b))]
		if len(b) == 0 {
			return "nothing"
		}
		return fmt.Sprintf("% x", b)
	}
	return fmt.Sprintf("%d bytes, want %d, and byte %d differs; from byte %d on got %s, want %s", len(value), len(want), at, from, show(value), show(want))
}
