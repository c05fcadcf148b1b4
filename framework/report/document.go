// Package report holds what a run found out: one versioned Document, built
// from the events of a run, with its verdict, its file format, its validation
// and its comparison with another.
package report

import (
	"time"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Schema names the form of a Document. Another form gets another name.
const Schema = "pmem-memcached-e2e/report/v1"

// Document is the report of one run. Encoders write it and decide nothing.
type Document struct {
	Schema       string              `yaml:"schema"`
	Run          Run                 `yaml:"run"`
	Verdict      Verdict             `yaml:"verdict"`
	Facts        []Fact              `yaml:"facts"`
	Preflight    []Check             `yaml:"preflight"`
	Requirements []RequirementResult `yaml:"requirements"`         // all of the catalogue, in its order
	Mutation     *spec.Proof         `yaml:"mutation,omitempty"`   // on record about the specs, not from this run
	Specs        []SpecResult        `yaml:"specs"`                // all that were planned, by id
	Leaks        []Leak              `yaml:"leaks"`                // those that belong to no single spec
	Uncompared   []string            `yaml:"uncompared,omitempty"` // where leaks could not be looked for, and why, one line each
	Errors       []string            `yaml:"trouble"`              // what went wrong outside of the specs, one line each
	Waits        []wait.Record       `yaml:"waits"`                // outside of the specs
	Known        []KnownFailure      `yaml:"knownFailures"`
	Benchmarks   []Benchmark         `yaml:"benchmarks"`
	Baseline     []BaselineEntry     `yaml:"baseline,omitempty"` // in the order of its file
	Evidence     []File              `yaml:"evidence"`           // every file below the evidence directory
}

// Purpose is what a run is for.
type Purpose string

const (
	Conformance Purpose = "conformance" // as is a run that does not say
	Measuring   Purpose = "benchmark"   // its specs are the benchmarks
)

// Run says what was run, and how.
type Run struct {
	ID            string            `yaml:"id" redact:"-"` // of this run, such as 20260102T030405Z-x7k2p
	Version       string            `yaml:"version"`       // of this project: revision of the source, and whether it was changed
	Started       time.Time         `yaml:"started"`
	Ended         time.Time         `yaml:"ended"`
	Purpose       Purpose           `yaml:"purpose,omitempty"`
	Command       string            `yaml:"command"`  // that repeats the run
	Provider      string            `yaml:"provider"` // of the cluster: lab, kind or existing
	Host          string            `yaml:"host"`     // API server
	Qualification bool              `yaml:"qualification"`
	Selection     string            `yaml:"selection,omitempty"` // the user's filter; empty: all specs
	Seed          int64             `yaml:"seed"`
	WaitScale     string            `yaml:"waitScale"`
	Parallel      int               `yaml:"parallel,omitempty"` // specs that ran at the same time; 0 stands for 1
	Retries       int               `yaml:"retries"`            // further attempts that a failing spec is given
	Deployments   map[string]string `yaml:"deployments"`        // directory of the kustomization by profile
	Interrupted   bool              `yaml:"interrupted"`
	Work          *Work             `yaml:"work,omitempty"` // of the processes that ran the specs
	// Processor is the processor time that the lab's programs used while specs ran, that of a node under its name.
	Processor map[string]time.Duration `yaml:"processor,omitempty"`
}

// Result is a verdict in one word or two.
type Result string

const (
	AllMeasured     Result = "MEASURED" // of a benchmark run: all that was selected has been measured
	Conformant      Result = "CONFORMANT"
	ConformantKnown Result = "CONFORMANT EXCEPT KNOWN FAILURES"
	// The user's filter has left specs out, and those that were selected are as in a conformant run. It is no
	// verdict about conformance.
	SelectionPassed Result = "SELECTION PASSED"
	SelectionKnown  Result = "SELECTION PASSED EXCEPT KNOWN FAILURES"
	NotConformant   Result = "NOT CONFORMANT"
	Undetermined    Result = "UNDETERMINED"
	LeakedOnly      Result = "LEAKED"       // every MUST is met, but something was left behind
	NotExamined     Result = "NOT EXAMINED" // of a profile: none of its specs was selected, or none applies
)

// Verdict is what a run says about the deployments under test.
type Verdict struct {
	Result   Result           `yaml:"result"`
	ExitCode int              `yaml:"exitCode"`
	Rules    int              `yaml:"rules,omitempty"` // by which it was reached; 0: those before there was SELECTION PASSED
	Reasons  []string         `yaml:"reasons"`         // why it is not CONFORMANT or MEASURED, and what it does not show; one line each, the weightiest first
	Scope    string           `yaml:"scope,omitempty"` // what it is about, when some profiles were not examined
	Pairs    Pairs            `yaml:"pairs,omitempty"`
	Profiles []ProfileVerdict `yaml:"profiles"`
}

// Pairs counts the MUSTs in the profiles in which they hold. Examined are those
// that passed or failed.
type Pairs struct {
	spec.PairCount `yaml:",inline"`
	Met            int `yaml:"met"`
}

// ProfileVerdict is the verdict about one mode of deployment.
type ProfileVerdict struct {
	Profile spec.Profile         `yaml:"profile"`
	Result  Result               `yaml:"result"`
	Counts  map[spec.Outcome]int `yaml:"counts"` // of specs
	Pairs   Pairs                `yaml:"pairs,omitempty"`
	Reasons []string             `yaml:"reasons"`
}

// Fact is something found out about the cluster, the node, the driver or
// memcached, with what shows it.
type Fact struct {
	Group    string `yaml:"group"` // cluster, driver, memcached, image, or "node NAME"
	Name     string `yaml:"name"`  // such as kernel
	Value    string `yaml:"value"`
	Evidence string `yaml:"evidence"` // where it was read, one line
}

// CheckState is how a preflight check ended.
type CheckState string

const (
	CheckPassed  CheckState = "passed"
	CheckFailed  CheckState = "failed"
	CheckSkipped CheckState = "skipped" // the user asked
	CheckUnknown CheckState = "unknown" // it could not be found out, which stops nothing
)

// Check is one condition that was examined before the specs.
type Check struct {
	Name   string        `yaml:"name"`
	State  CheckState    `yaml:"state"`
	Saw    string        `yaml:"saw"`              // one line
	Remedy string        `yaml:"remedy,omitempty"` // what to do about it, unless it passed
	Took   time.Duration `yaml:"took"`
}

// RequirementResult is a requirement with what the run says about it.
type RequirementResult struct {
	spec.Requirement `yaml:",inline"`
	// Outcome is empty when no spec covers the requirement. It is passed when
	// that is so in every mode with specs and in which it applies.
	Outcome spec.Outcome `yaml:"outcome,omitempty"`
	Specs   []string     `yaml:"specs,omitempty"` // that cover it
	Modes   []ModeResult `yaml:"modes,omitempty"` // in which it holds
}

// ModeResult is what the run says about a requirement in one mode.
type ModeResult struct {
	Profile spec.Profile `yaml:"profile"`
	Outcome spec.Outcome `yaml:"outcome,omitempty"` // empty: no spec covers it there
	Specs   []string     `yaml:"specs,omitempty"`   // that cover it there
}

// SpecResult is a spec with its outcome.
type SpecResult struct {
	ID      string       `yaml:"id" redact:"-"`
	Title   string       `yaml:"title" redact:"-"`
	Level   spec.Level   `yaml:"level"`
	Profile spec.Profile `yaml:"profile"`
	Covers  []spec.ReqID `yaml:"covers"`
	// Benchmark says that the spec measures. Such a spec, like one that does
	// not, is skipped in a run of the other purpose, and then not missed.
	Benchmark bool         `yaml:"benchmark,omitempty"`
	Outcome   spec.Outcome `yaml:"outcome"`
	Reason    string       `yaml:"reason,omitempty"`   // one line; empty when passed
	Known     string       `yaml:"known,omitempty"`    // link of the known failure that it is
	Failures  []Failure    `yaml:"failures,omitempty"` // in the order in which they were found
	Examined  []spec.ReqID `yaml:"examined,omitempty"`
	// Inapplicable are the requirements that do not hold for the memcached under test.
	Inapplicable []spec.ReqID  `yaml:"inapplicable,omitempty"`
	Complete     bool          `yaml:"complete"` // the body came to its end
	Leaks        []Leak        `yaml:"leaks,omitempty"`
	Started      time.Time     `yaml:"started,omitempty"`
	Took         time.Duration `yaml:"took"`
	Lane         int           `yaml:"lane,omitempty"` // of those that ran next to each other, from 0
	Attempts     int           `yaml:"attempts"`       // more than 1: flaky
	Work         *Work         `yaml:"work,omitempty"` // of the last attempt
	// Processor is as that of the run, of the last attempt, for a spec that no other one ran next to.
	Processor map[string]time.Duration `yaml:"processor,omitempty"`
	Steps     []string                 `yaml:"steps,omitempty"`
	Waits     []wait.Record            `yaml:"waits,omitempty"`
	Notes     []Note                   `yaml:"notes,omitempty"`
	Evidence  string                   `yaml:"evidence,omitempty" redact:"-"` // directory, relative to the report
	Again     string                   `yaml:"again,omitempty"`               // the command that repeats it
}

// Note is something worth reporting that a spec has seen.
type Note struct {
	Name  string `yaml:"name"`
	Text  string `yaml:"text"`
	Table *Table `yaml:"table,omitempty"` // below the text
}

// Table is a small table of texts.
type Table struct {
	Head []string   `yaml:"head"`
	Rows [][]string `yaml:"rows"`
}

// Leak is something that was not there before the run, or that is missing
// since.
type Leak struct {
	View   string `yaml:"view"`   // api, node or capacity
	Where  string `yaml:"where"`  // namespace, node or "cluster"
	What   string `yaml:"what"`   // kind and name
	Detail string `yaml:"detail"` // size, age, owner: one line
}

// KnownFailure is a failure that is accepted until a date.
type KnownFailure struct {
	Spec        string     `yaml:"spec"`
	Requirement spec.ReqID `yaml:"requirement"`
	Link        string     `yaml:"link"`
	Expires     string     `yaml:"expires"` // last day, as 2006-01-02
	Reason      string     `yaml:"reason"`
	Line        int        `yaml:"-"` // in the file
	// Met says whether the run saw the failure. One that it did not see is
	// stale and fails the run; nil: the spec did not run to its end.
	Met *bool `yaml:"met,omitempty"`
}

// Benchmark is what loads of one setting have measured on the deployment under
// test and, when there is one, on its control.
type Benchmark struct {
	Name       string             `yaml:"name" redact:"-"` // such as get-heavy
	Spec       string             `yaml:"spec" redact:"-"`
	Profile    spec.Profile       `yaml:"profile"`
	Setting    string             `yaml:"setting"`         // what was measured and how, one line
	Found      []string           `yaml:"found,omitempty"` // what it shows besides rates and comparisons, one line each
	Operations int64              `yaml:"operations"`      // of all samples; 0: it has no rate, only curves
	Elapsed    time.Duration      `yaml:"elapsed"`         // of all samples
	Latencies  []LatencyOfRequest `yaml:"latencies"`       // of all samples
	Samples    []Sample           `yaml:"samples,omitempty"`
	// Control is the same deployment with its volume replaced by memory. Sample n
	// of one and of the other were measured one after the other.
	Control     *Control     `yaml:"twin,omitempty"`
	Comparisons []Comparison `yaml:"comparisons,omitempty"` // with the control
	Curves      []Curve      `yaml:"curves,omitempty"`
	Invalid     []string     `yaml:"invalid,omitempty"`        // why the figures say little, one line each
	Raw         string       `yaml:"raw,omitempty" redact:"-"` // file of the evidence with every histogram, relative to the report
}

// Control is what was measured in parallel with the deployment under test.
type Control struct {
	Name      string             `yaml:"name"` // such as dram
	Latencies []LatencyOfRequest `yaml:"latencies"`
	Samples   []Sample           `yaml:"samples"`
}

// Sample is one load.
type Sample struct {
	PerSecond float64       `yaml:"perSecond"` // requests
	P50       time.Duration `yaml:"p50"`       // of the latency of all requests
	P99       time.Duration `yaml:"p99"`
	ClientCPU time.Duration `yaml:"clientCPU"` // processor time for a request
	ServerCPU time.Duration `yaml:"serverCPU"` // 0: not known
	// Unsteady says how the throughput changed while it was measured; empty: it did not.
	Unsteady string `yaml:"unsteady,omitempty"`
}

// Comparison is the ratio of a metric of the deployment under test to that of
// its control, in pairs of samples.
type Comparison struct {
	Metric     string  `yaml:"metric"` // such as "requests/s" or "p99"
	Better     string  `yaml:"better"` // higher or lower
	Ratio      float64 `yaml:"ratio"`  // median of the pairs
	Low        float64 `yaml:"low"`    // of the interval that holds the median with Confidence
	High       float64 `yaml:"high"`
	Confidence float64 `yaml:"confidence"` // such as 0.95
	Pairs      int     `yaml:"pairs,omitempty"`
}

// Curve is how something changes with time or with a size.
type Curve struct {
	Title  string   `yaml:"title"`
	X      string   `yaml:"x"` // what and unit, such as "seconds"
	Y      string   `yaml:"y"`
	Series []Series `yaml:"series"`
	Marks  []Mark   `yaml:"marks,omitempty"`
}

// Series is one line of a Curve.
type Series struct {
	Name   string  `yaml:"name"`
	Points []Point `yaml:"points"` // by rising X
}

// Point belongs to a Series.
type Point struct {
	X float64 `yaml:"x"`
	Y float64 `yaml:"y"`
}

// Mark is something that happened at an X of a Curve.
type Mark struct {
	X    float64 `yaml:"x"`
	Text string  `yaml:"text"`
}

// LatencyOfRequest is the distribution of the latency of one kind of request.
type LatencyOfRequest struct {
	Request     string       `yaml:"request"` // get or set
	Count       int64        `yaml:"count"`
	Percentiles []Percentile `yaml:"percentiles"` // rising
}

// Percentile is a point of a distribution.
type Percentile struct {
	Percent float64       `yaml:"percent"` // 100 is the maximum
	Latency time.Duration `yaml:"latency"`
}

// File is a file of evidence.
type File struct {
	Path   string `yaml:"path"` // relative to the report, with slashes
	Size   int64  `yaml:"size"` // bytes
	SHA256 string `yaml:"sha256"`
}
