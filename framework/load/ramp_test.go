package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	for _, text := range []string{"uniform", "sequential", "zipf:0.99", "hot:0.1:0.9"} {
		if d, err := ParseDistribution(text); err != nil || d.String() != text {
			t.Errorf("%q became %q, %v", text, d, err)
		}
	}
	for _, text := range []string{"100", "16-4000", "etc:8000"} {
		if s, err := ParseSizes(text); err != nil || s.String() != text || s.validate() != nil {
			t.Errorf("%q became %q, %v", text, s, err)
		}
	}
	for _, bad := range []string{"", "zipf", "zipf:", "zipf:1:2", "zipf:x", "hot:0.1", "hot:0.1:y", "normal"} {
		var refused *FieldError
		if _, err := ParseDistribution(bad); !errors.As(err, &refused) || refused.Value != bad {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "x", "1-", "1-x", "etc:", "etc:x", "10k"} {
		var refused *FieldError
		if _, err := ParseSizes(bad); !errors.As(err, &refused) || refused.Value != bad {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		change func(*Options)
		field  string
	}{
		"no port":            {func(o *Options) { o.Addr = "localhost" }, "Addr"},
		"protocol":           {func(o *Options) { o.Protocol = "binary" }, "Protocol"},
		"more threads":       {func(o *Options) { o.Threads = 33 }, "Threads"},
		"depth":              {func(o *Options) { o.Depth = 0 }, "Depth"},
		"multiget":           {func(o *Options) { o.Multiget = 2000 }, "Multiget"},
		"rate":               {func(o *Options) { o.Rate = -1 }, "Rate"},
		"arrivals":           {func(o *Options) { o.Arrivals = "bursts" }, "Arrivals"},
		"keys":               {func(o *Options) { o.Keys = 0 }, "Keys"},
		"short keys":         {func(o *Options) { o.KeySize = 7 }, "KeySize"},
		"long keys":          {func(o *Options) { o.KeySize = 251 }, "KeySize"},
		"prefix":             {func(o *Options) { o.Prefix = "a b" }, "Prefix"},
		"skew":               {func(o *Options) { o.Popular = Zipf(0) }, "Popular"},
		"hot set of nothing": {func(o *Options) { o.Keys, o.Popular = 5, Hot(0.1, 0.9) }, "Popular"},
		"small values":       {func(o *Options) { o.Values = Fixed(8) }, "Values"},
		"sizes turned round": {func(o *Options) { o.Values = Between(200, 100) }, "Values"},
		"no mix":             {func(o *Options) { o.Gets, o.Sets = 0, 0 }, "Gets:Sets:Deletes"},
		"deletes":            {func(o *Options) { o.Deletes = 1 }, "MayMiss"},
		"expiry":             {func(o *Options) { o.MayMiss, o.Expiry = true, time.Millisecond }, "Expiry"},
		"owners":             {func(o *Options) { o.Owned, o.Keys = true, 31 }, "Keys"},
		"verify":             {func(o *Options) { o.Verify = 0 }, "Verify"},
		"duration":           {func(o *Options) { o.Duration = 0 }, "Duration"},
	}
	for name, test := range tests {
		o := Default("127.0.0.1:11211")
		test.change(&o)
		var refused *FieldError
		if err := o.Validate(); !errors.As(err, &refused) || refused.Field != test.field || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one error about %s", name, err, test.field)
		}
	}
	if err := Default("127.0.0.1:11211").Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

// TestFindRate looks at both ends of the search.
func TestFindRate(t *testing.T) {
	o := short(realServer(t))
	o.Duration = 100 * time.Millisecond
	ramp := Ramp{Percent: 50, Limit: 30 * time.Second, From: 100, To: 200, Precision: 1.05}
	rate, tries, err := FindRate(t.Context(), Run, o, ramp, nil)
	if err != nil || rate != 200 || len(tries) != 2 {
		t.Errorf("a limit that always holds: %g, %d tries, %v", rate, len(tries), err)
	}
	o.Gets, o.Sets = 1, 0
	server := newStandIn(t, o)
	o.Addr = server.addr()
	server.stalled.Lock()
	o.Timeout, o.WarmUp = 300*time.Millisecond, 0
	_, _, err = FindRate(t.Context(), Run, o, ramp, nil)
	server.stalled.Unlock()
	if err == nil || !strings.Contains(err.Error(), "store the keys") {
		t.Errorf("a server that does not answer: %v", err)
	}
	for _, bad := range []Ramp{{}, {Percent: 99, Limit: time.Second, From: 5, To: 5, Precision: 1.1}, {Percent: 99, Limit: time.Second, From: 1, To: 5, Precision: 1}} {
		var refused *FieldError
		if _, _, err := FindRate(t.Context(), Run, o, bad, nil); !errors.As(err, &refused) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestRampJudges(t *testing.T) {
	ramp := Ramp{Percent: 99, Limit: time.Millisecond}
	result := func(us int64, change func(*stats)) Result {
		s := newStats(short("x:1"))
		record(s.latency[opGet], us*1000, 1)
		change(&s)
		return newResult(short("x:1"), s)
	}
	for name, test := range map[string]struct {
		result Result
		why    string
	}{
		"holds":  {result(900, func(*stats) {}), ""},
		"slow":   {result(2000, func(*stats) {}), "p99 is 2ms, above 1ms"},
		"wrong":  {result(900, func(s *stats) { s.wrong = 1 }), "1 wrong answers, 0 errors"},
		"unsent": {result(900, func(s *stats) { s.unsent = 3 }), "3 requests could not be sent: no connection was free for them"},
	} {
		if got := ramp.Judge(1, test.result); got.Why != test.why || got.Held != (test.why == "") {
			t.Errorf("%s: held %t, %q", name, got.Held, got.Why)
		}
	}
}

func TestWrite(t *testing.T) {
	r, err := Run(t.Context(), short(realServer(t)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteBenchmark(&b, "Get heavy"); err != nil {
		t.Fatal(err)
	}
	// https://go.dev/design/14313-benchmark-format: name, count, pairs of value and unit
	if !regexp.MustCompile(`^BenchmarkGet_heavy \d+( [\d.]+ \S+){11}\n$`).MatchString(b.String()) {
		t.Errorf("benchmark line %q", b.String())
	}
	b.Reset()
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var read Result
	if err := json.Unmarshal(b.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Answered() != r.Answered() || read.Get.ValueAtPercentile(99) != r.Get.ValueAtPercentile(99) || read.String() != r.String() {
		t.Errorf("written:\n%s\nread:\n%s", r, read)
	}
}
