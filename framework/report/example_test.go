package report_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// catalogue has one requirement, which one spec covers.
var catalogue = spec.Catalogue{
	Requirements: []spec.Requirement{{ID: "RST-01", Chapter: "Restart", Level: spec.Must, Profiles: []spec.Profile{spec.Persistent}, Text: "Items survive a restart.", Source: "documentation"}},
	Specs:        []spec.Spec{{ID: "RST-01", Title: "items survive a restart", Covers: []spec.ReqID{"RST-01"}, Level: spec.Must, Profile: spec.Persistent}},
}

// run is the report of a run in which the spec ended with some failures.
func run(failures ...report.Failure) report.Document {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := catalogue.Specs[0]
	result := report.SpecResult{
		ID: s.ID, Title: s.Title, Level: s.Level, Profile: s.Profile, Covers: s.Covers, Examined: s.Covers,
		Complete: true, Attempts: 1, Started: started, Took: 2 * time.Second, Failures: failures,
	}
	result.Outcome = report.Ending{Complete: true, Failures: failures}.Outcome()

	r := report.NewRecorder(report.Run{ID: "example", Started: started, Deployments: map[string]string{}}, catalogue)
	r.Plan([]spec.Planned{{Spec: s}})
	r.Record(report.Event{Kind: report.SpecEnded, Spec: s.ID, Result: &result})
	r.Record(report.Event{Kind: report.SuiteEnded})
	return r.Finish(started.Add(time.Minute), nil)
}

var lost = report.Failure{Requirement: "RST-01", Check: "memcached serves every item", Expected: "1000 items", Observed: "0 items", Object: "pod default/cache-0"}

// A Recorder makes a Document of the events of a run, and the verdict follows
// from what is in it.
func ExampleRecorder() {
	for _, doc := range []report.Document{run(), run(lost)} {
		fmt.Println(doc.Verdict.Result, doc.Verdict.ExitCode)
		for _, reason := range doc.Verdict.Reasons {
			fmt.Println(" ", reason)
		}
	}
	// Output:
	// CONFORMANT 0
	// NOT CONFORMANT 1
	//   RST-01 failed: RST-01 is not met: "memcached serves every item", expected 1000 items, observed 0 items
}

func ExampleDocument_Validate() {
	doc := run(lost)
	fmt.Println("as recorded:", doc.Validate())
	doc.Verdict.ExitCode = 0
	fmt.Println("altered:", doc.Validate())
	// Output:
	// as recorded: <nil>
	// altered: verdict: exitCode is 0, from the content follows 1
}

// ValidateFile also compares the digests of the report and of its evidence.
func ExampleValidateFile() {
	dir, err := os.MkdirTemp("", "report-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	data, err := report.Encode(run())
	if err != nil {
		fmt.Println(err)
		return
	}
	path := filepath.Join(dir, "report.yaml")
	for _, text := range []string{string(data), strings.Replace(string(data), "took: 2s", "took: 1s", 1)} {
		if err := report.WriteFiles(dir, map[string][]byte{"report.yaml": []byte(text)}); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("refused:", report.ValidateFile(path) != nil)
	}
	// Output:
	// refused: false
	// refused: true
}

func ExampleCompare() {
	diff := report.Compare(run(), run(lost))
	fmt.Println("worse:", diff.Worse())
	if err := diff.Text(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// worse: true
	// old      example  CONFORMANT
	// new      example  NOT CONFORMANT
	//
	// profiles with a worse verdict (1)
	//   persistent  CONFORMANT → NOT CONFORMANT  (RST-01 failed: RST-01 is not met: "memcached serves every item", expected 1000 items, observed 0 items)
	//
	// regressions (1)
	//   RST-01  passed → failed  (RST-01 is not met: "memcached serves every item", expected 1000 items, observed 0 items)
	//
	// result   worse
}

func ExampleDecode() {
	_, err := report.Decode("report.yaml", []byte("schema: something else\n"))
	fmt.Println(err)
	// Output:
	// report.yaml:1: the line is "schema: something else", want "digest: sha256:" and 64 hexadecimal digits, as in every report.yaml
}
