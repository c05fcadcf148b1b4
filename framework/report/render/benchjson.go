package render

import (
	"encoding/json"
	"time"

	"pmem-memcached-e2e/framework/report"
)

// benchSchema names the form of bench.json. Another form gets another name.
const benchSchema = "pmem-memcached-e2e/bench/v1"

// Durations are in nanoseconds.
type jsonBenchmarks struct {
	Schema     string          `json:"schema"`
	Run        string          `json:"run"`
	Version    string          `json:"version"`
	Started    time.Time       `json:"started"`
	Memory     []string        `json:"memory"` // what the figures say about hardware
	Benchmarks []jsonBenchmark `json:"benchmarks"`
	Baseline   []jsonBaseline  `json:"baseline"`
}

type jsonBenchmark struct {
	Name        string           `json:"name"`
	Spec        string           `json:"spec"`
	Profile     string           `json:"profile"`
	Setting     string           `json:"setting"`
	Found       []string         `json:"found,omitempty"`
	Operations  int64            `json:"operations"`
	ElapsedNs   int64            `json:"elapsedNs"`
	PerSecond   float64          `json:"perSecond"` // median of the samples
	Latencies   []jsonLatency    `json:"latencies"`
	Samples     []jsonSample     `json:"samples"`
	Control     *jsonControl     `json:"twin"`
	Comparisons []jsonComparison `json:"comparisons"`
	Curves      []jsonCurve      `json:"curves"`
	Invalid     []string         `json:"invalid"`
	Raw         string           `json:"raw"`
}

type jsonControl struct {
	Name      string        `json:"name"`
	PerSecond float64       `json:"perSecond"`
	Latencies []jsonLatency `json:"latencies"`
	Samples   []jsonSample  `json:"samples"`
}

type jsonLatency struct {
	Request     string           `json:"request"`
	Count       int64            `json:"count"`
	Percentiles []jsonPercentile `json:"percentiles"`
}

type jsonPercentile struct {
	Percent   float64 `json:"percent"`
	LatencyNs int64   `json:"latencyNs"`
}

type jsonSample struct {
	PerSecond   float64 `json:"perSecond"`
	P50Ns       int64   `json:"p50Ns"`
	P99Ns       int64   `json:"p99Ns"`
	ClientCPUNs int64   `json:"clientCpuNs"`
	ServerCPUNs int64   `json:"serverCpuNs"` // 0: not known
	Unsteady    string  `json:"unsteady"`
}

type jsonComparison struct {
	Metric     string  `json:"metric"`
	Better     string  `json:"better"`
	Ratio      float64 `json:"ratio"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"`
	Pairs      int     `json:"pairs"`
	Words      string  `json:"says"`
}

type jsonCurve struct {
	Title  string       `json:"title"`
	X      string       `json:"x"`
	Y      string       `json:"y"`
	Series []jsonSeries `json:"series"`
	Marks  []jsonMark   `json:"marks"`
}

type jsonSeries struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"` // x and y
}

type jsonMark struct {
	X    float64 `json:"x"`
	Text string  `json:"text"`
}

type jsonBaseline struct {
	Benchmark string          `json:"benchmark"`
	Profile   string          `json:"profile"`
	Metric    string          `json:"metric"`
	Value     float64         `json:"value"`
	Tolerance float64         `json:"tolerance"`
	State     string          `json:"state"`
	Measured  *jsonComparison `json:"measured"`
	Why       string          `json:"why"`
}

// benchJSON writes the benchmarks for machines. Its keys do not depend on the
// names in package report.
func benchJSON(doc report.Document) ([]byte, error) {
	all := jsonBenchmarks{Schema: benchSchema, Run: doc.Run.ID, Version: doc.Run.Version, Started: doc.Run.Started.UTC(), Memory: doc.MemoryStatement(),
		Benchmarks: each(doc.Benchmarks, benchmarkOf), Baseline: each(doc.Baseline, baselineOf)}
	data, err := json.MarshalIndent(all, "", "  ")
	return append(data, '\n'), err
}

// each is never nil, so that it is encoded as a list.
func each[A, B any](list []A, convert func(A) B) []B {
	converted := make([]B, len(list))
	for i, a := range list {
		converted[i] = convert(a)
	}
	return converted
}

func same[A any](a A) A { return a }

func benchmarkOf(b report.Benchmark) jsonBenchmark {
	j := jsonBenchmark{Name: b.Name, Spec: b.Spec, Profile: string(b.Profile), Setting: b.Setting, Found: b.Found, Operations: b.Operations, ElapsedNs: int64(b.Elapsed),
		PerSecond: b.Throughput(), Latencies: each(b.Latencies, latencyOf), Samples: each(b.Samples, sampleOf),
		Comparisons: each(b.Comparisons, comparisonOf), Curves: each(b.Curves, curveOf), Invalid: each(b.Invalid, same), Raw: b.Raw}
	if t := b.Control; t != nil {
		j.Control = &jsonControl{t.Name, t.Throughput(), each(t.Latencies, latencyOf), each(t.Samples, sampleOf)}
	}
	return j
}

func latencyOf(l report.LatencyOfRequest) jsonLatency {
	return jsonLatency{l.Request, l.Count, each(l.Percentiles, func(p report.Percentile) jsonPercentile {
		return jsonPercentile{p.Percent, int64(p.Latency)}
	})}
}

func sampleOf(s report.Sample) jsonSample {
	return jsonSample{s.PerSecond, int64(s.P50), int64(s.P99), int64(s.ClientCPU), int64(s.ServerCPU), s.Unsteady}
}

func comparisonOf(c report.Comparison) jsonComparison {
	return jsonComparison{c.Metric, c.Better, c.Ratio, c.Low, c.High, c.Confidence, c.Pairs, c.Words()}
}

func curveOf(c report.Curve) jsonCurve {
	return jsonCurve{c.Title, c.X, c.Y, each(c.Series, func(s report.Series) jsonSeries {
		return jsonSeries{s.Name, each(s.Points, func(p report.Point) [2]float64 { return [2]float64{p.X, p.Y} })}
	}), each(c.Marks, func(m report.Mark) jsonMark { return jsonMark{m.X, m.Text} })}
}

func baselineOf(e report.BaselineEntry) jsonBaseline {
	j := jsonBaseline{Benchmark: e.Benchmark, Profile: string(e.Profile), Metric: e.Metric, Value: e.Value, Tolerance: e.Tolerance, State: string(e.State), Why: e.Why}
	if e.Measured != nil {
		c := comparisonOf(*e.Measured)
		j.Measured = &c
	}
	return j
}
