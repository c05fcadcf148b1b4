package render

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// junitXML writes a suite for each profile and one for the run itself, whose
// only test is the verdict, so that nothing looks green that is not.
func junitXML(doc report.Document) ([]byte, error) {
	var suites junit.Testsuites
	for _, v := range doc.Verdict.Profiles {
		s := junit.Testsuite{Name: string(v.Profile), Timestamp: doc.Run.Started.UTC().Format(time.RFC3339)}
		s.AddProperty("MUSTs stated", fmt.Sprint(v.Pairs.Stated))
		s.AddProperty("MUSTs examined", fmt.Sprint(v.Pairs.Examined))
		s.AddProperty("MUSTs met", fmt.Sprint(v.Pairs.Met))
		for _, r := range doc.Specs {
			if r.Profile == v.Profile {
				s.AddTestcase(testcase(r))
			}
		}
		suites.AddSuite(s)
	}
	run := junit.Testsuite{Name: "run", Timestamp: doc.Run.Started.UTC().Format(time.RFC3339)}
	run.AddProperty("run", doc.Run.ID)
	run.AddProperty("version", doc.Run.Version)
	run.AddProperty("verdict", string(doc.Verdict.Result))
	if doc.Verdict.Scope != "" {
		run.AddProperty("scope", doc.Verdict.Scope)
	}
	run.AddProperty("pairs of a MUST and a mode", doc.Verdict.Pairs.String())
	for _, f := range doc.Facts {
		run.AddProperty(f.Group+": "+f.Name, f.Value)
	}
	for _, b := range doc.Benchmarks {
		run.AddProperty(fmt.Sprintf("benchmark %s (%s)", b.Name, b.Profile), figures(b))
	}
	for _, e := range doc.Baseline {
		run.AddProperty("baseline "+e.Name(), string(e.State)+": "+e.Against())
	}
	verdict := junit.Testcase{Name: "verdict " + string(doc.Verdict.Result), Classname: "run", Time: number(doc.Run.Ended.Sub(doc.Run.Started))}
	if doc.Verdict.ExitCode != report.ExitConformant {
		verdict.Error = &junit.Result{Message: string(doc.Verdict.Result), Type: string(doc.Verdict.Result), Data: strings.Join(doc.Verdict.Reasons, "\n")}
	}
	run.AddTestcase(verdict)
	suites.AddSuite(run)
	var b bytes.Buffer
	if err := suites.WriteXML(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func number(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func testcase(r report.SpecResult) junit.Testcase {
	c := junit.Testcase{Name: r.ID + " " + r.Title, Classname: string(r.Profile), Time: number(r.Took)}
	why := &junit.Result{Message: r.Reason, Type: string(r.Outcome), Data: details(r)}
	switch r.Outcome {
	case spec.Passed:
	case spec.Failed:
		c.Failure = why
	case spec.Skipped, spec.NotApplicable:
		c.Skipped = &junit.Result{Message: string(r.Outcome) + ": " + r.Reason}
	default:
		c.Error = why
	}
	return c
}

func details(r report.SpecResult) string {
	var b strings.Builder
	for _, f := range r.Failures {
		fmt.Fprintln(&b, f)
	}
	for _, l := range r.Leaks {
		fmt.Fprintln(&b, "left behind: "+l.String())
	}
	if r.Evidence != "" {
		fmt.Fprintln(&b, "evidence  "+r.Evidence)
	}
	if r.Again != "" {
		fmt.Fprintln(&b, "again     "+r.Again)
	}
	return b.String()
}
