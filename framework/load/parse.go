package load

import (
	"strconv"
	"strings"
)

// ParseDistribution reads what Distribution.String writes: uniform, sequential,
// zipf:SKEW or hot:KEYS:TRAFFIC. The error is a *FieldError.
func ParseDistribution(text string) (Distribution, error) {
	kind, rest, _ := strings.Cut(text, ":")
	first, second, two := strings.Cut(rest, ":")
	a, errA := strconv.ParseFloat(first, 64)
	b, errB := strconv.ParseFloat(second, 64)
	switch {
	case text == "uniform":
		return Uniform(), nil
	case text == "sequential":
		return Sequential(), nil
	case kind == "zipf" && errA == nil && !two:
		return Zipf(a), nil
	case kind == "hot" && errA == nil && errB == nil:
		return Hot(a, b), nil
	}
	return Distribution{}, &FieldError{"Popular", text, "give uniform, sequential, zipf:SKEW such as zipf:0.99, or hot:KEYS:TRAFFIC such as hot:0.1:0.9"}
}

// ParseSizes reads what Sizes.String writes: SIZE, MIN-MAX or etc:MAX, in
// bytes. The error is a *FieldError.
func ParseSizes(text string) (Sizes, error) {
	if most, ok := strings.CutPrefix(text, "etc:"); ok {
		if n, err := strconv.Atoi(most); err == nil {
			return Etc(n), nil
		}
	} else if least, most, ok := strings.Cut(text, "-"); ok {
		a, errA := strconv.Atoi(least)
		b, errB := strconv.Atoi(most)
		if errA == nil && errB == nil {
			return Between(a, b), nil
		}
	} else if n, err := strconv.Atoi(text); err == nil {
		return Fixed(n), nil
	}
	return Sizes{}, &FieldError{"Values", text, "give bytes as SIZE, MIN-MAX or etc:MAX"}
}

// MarshalText implements [encoding.TextMarshaler].
func (d Distribution) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Distribution) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDistribution(string(text))
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (s Sizes) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Sizes) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSizes(string(text))
	return err
}
