package report

// outOfScope reports whether s belongs to runs of the other purpose. Benchmarks
// belong to a qualification that has a baseline for them.
func (d Document) outOfScope(s SpecResult) bool {
	if d.Run.Purpose == Measuring {
		return !s.Benchmark
	}
	return s.Benchmark && !(d.Run.Qualification && len(d.Baseline) > 0)
}

// asMeasured is what findings say in a benchmark run, which shows nothing about
// conformance as a whole.
func asMeasured(findings []finding) []finding {
	for i := range findings {
		if findings[i].result == Conformant || findings[i].result == ConformantKnown {
			findings[i].result = AllMeasured
		}
	}
	return findings
}
