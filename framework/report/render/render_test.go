package render

import (
	"encoding/xml"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

func samples() map[string]report.Document {
	attacked := benchmarkDocument()
	attacked.Benchmarks = []report.Benchmark{hostileBenchmark()}
	attacked.Baseline = []report.BaselineEntry{{Benchmark: hostile, Metric: hostile, Reason: hostile, Why: hostile, Link: "javascript:alert(1)", State: report.NotMeasured}}
	return map[string]report.Document{"attacked": attacked, "benchmark": benchmarkDocument(), "passing": passing(), "selection": selection(), "failing": failing(), "undetermined": undetermined(), "empty": {Schema: report.Schema}}
}

func TestGolden(t *testing.T) {
	for name, doc := range samples() {
		if name == "attacked" {
			continue // nobody wants to look at it
		}
		t.Run(name, func(t *testing.T) {
			files, err := Files(doc)
			if err != nil {
				t.Fatal(err)
			}
			for file, got := range files {
				golden.Check(t, name+"/"+file, got)
			}
		})
	}
}

// TestPage parses the pages: what is hostile has to be text, every link within
// the page has to lead somewhere, and nothing comes from elsewhere.
func TestPage(t *testing.T) {
	for name, doc := range samples() {
		t.Run(name, func(t *testing.T) {
			files, err := Files(doc)
			if err != nil {
				t.Fatal(err)
			}
			text := string(files["index.html"])
			for _, trace := range []string{"<no value>", "%!", "ZgotmplZ", "<nil>", "0001-01-01"} {
				refused := name == "attacked" && trace == "ZgotmplZ" // in place of a link to a script
				if name != "empty" && !refused && strings.Contains(text, trace) {
					t.Errorf("the page contains %q", trace)
				}
			}
			root, err := html.Parse(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			ids, targets := map[string]int{}, []string{}
			for n := range root.Descendants() {
				if n.Data == "script" || n.Data == "link" || n.Data == "img" {
					t.Errorf("the page has a %s", n.Data)
				}
				for _, a := range n.Attr {
					switch {
					case a.Key == "id":
						ids[a.Val]++
					case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
						targets = append(targets, a.Val[1:])
					case a.Key == "href" && strings.HasPrefix(a.Val, "javascript"):
						t.Errorf("a link is %q", a.Val)
					case a.Key == "src", strings.HasPrefix(a.Key, "on"):
						t.Errorf("attribute %s=%q", a.Key, a.Val)
					}
				}
			}
			for id, n := range ids {
				if n > 1 {
					t.Errorf("%d elements have the id %s", n, id)
				}
			}
			for _, target := range targets {
				if ids[target] == 0 && target != "ZgotmplZ" {
					t.Errorf("a link leads to #%s, which is not there", target)
				}
			}
		})
	}
}

// TestJUnit counts as a CI server does.
func TestJUnit(t *testing.T) {
	type count struct{ Tests, Failures, Errors, Skipped int }
	tests := map[string]struct {
		want    count
		verdict bool // is an error
	}{
		"benchmark": {want: count{Tests: 5, Errors: 1, Skipped: 2}, verdict: true}, "attacked": {want: count{Tests: 5, Errors: 1, Skipped: 2}, verdict: true}, "passing": {want: count{Tests: 5}}, "selection": {want: count{Tests: 5, Skipped: 2}}, "failing": {want: count{Tests: 5, Failures: 2, Errors: 1, Skipped: 1}, verdict: true},
		"undetermined": {want: count{Tests: 5, Errors: 3, Skipped: 1}, verdict: true}, "empty": {want: count{Tests: 1}},
	}
	for name, doc := range samples() {
		t.Run(name, func(t *testing.T) {
			files, err := Files(doc)
			if err != nil {
				t.Fatal(err)
			}
			var suites struct {
				Tests    int `xml:"tests,attr"`
				Failures int `xml:"failures,attr"`
				Errors   int `xml:"errors,attr"`
				Skipped  int `xml:"skipped,attr"`
				Suites   []struct {
					Cases []struct {
						Name    string    `xml:"name,attr"`
						Failure *struct{} `xml:"failure"`
						Error   *struct{} `xml:"error"`
						Skipped *struct{} `xml:"skipped"`
					} `xml:"testcase"`
				} `xml:"testsuite"`
			}
			if err := xml.Unmarshal(files["junit.xml"], &suites); err != nil {
				t.Fatal(err)
			}
			var got count
			verdict := false
			for _, s := range suites.Suites {
				for _, c := range s.Cases {
					got.Tests++
					if c.Failure != nil {
						got.Failures++
					}
					if c.Error != nil {
						got.Errors++
						verdict = verdict || strings.HasPrefix(c.Name, "verdict")
					}
					if c.Skipped != nil {
						got.Skipped++
					}
				}
			}
			if want := tests[name].want; got != want {
				t.Errorf("cases %+v, want %+v", got, want)
			}
			if verdict != tests[name].verdict {
				t.Errorf("the verdict is an error: %t", verdict)
			}
			if totals := (count{suites.Tests, suites.Failures, suites.Errors, suites.Skipped}); totals != got && totals != (count{}) {
				t.Errorf("the totals say %+v, the cases are %+v", totals, got)
			}
		})
	}
}

// TestSummary makes sure that no text can end a table, a line of code or the
// section that it stands in.
func TestSummary(t *testing.T) {
	for _, name := range []string{"failing", "attacked"} {
		files, err := Files(samples()[name])
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(files["summary.md"])) {
			if strings.Contains(line, "<script>") && !strings.Contains(line, "`` ") {
				t.Errorf("%s: markup is not quoted: %s", name, line)
			}
			if strings.HasPrefix(line, "|") && strings.Contains(line, "a|b") {
				t.Errorf("%s: a cell ends early: %s", name, line)
			}
		}
	}
}

// TestCoverage makes sure that a requirement counts in each of its modes.
func TestCoverage(t *testing.T) {
	in := func(m ...report.ModeResult) report.RequirementResult {
		return report.RequirementResult{Requirement: spec.Requirement{Level: spec.Must}, Modes: m}
	}
	met := report.ModeResult{Profile: spec.Ephemeral, Outcome: spec.Passed, Specs: []string{"EPH-01"}}
	violated := report.ModeResult{Profile: spec.Persistent, Outcome: spec.Failed, Specs: []string{"EPH-01P"}}
	uncovered := report.ModeResult{Profile: spec.Driver}
	doc := report.Document{Requirements: []report.RequirementResult{in(met, violated), in(met, uncovered)}}
	if all, covered := coverage(doc, spec.Must); all != 4 || covered != 3 {
		t.Errorf("%d of %d, want 3 of 4", covered, all)
	}
	var c cell
	for _, r := range doc.Requirements {
		c.add(r)
	}
	if want := (cell{All: 4, Passed: 2, Failed: 1, Uncovered: 1}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if got := mark(doc.Requirements[0]) + " " + mark(doc.Requirements[1]); got != "✓✗ ✓·" {
		t.Errorf("marks %q", got)
	}
}
