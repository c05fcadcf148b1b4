package render

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
)

// benchText writes the samples in the format of Go's benchmarks, see
// https://go.dev/design/14313-benchmark-format, a line for each load. The keys
// are about the machine, because benchstat compares nothing of which one
// differs; what may well differ between two releases is in comments.
func benchText(doc report.Document) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("goos: linux\n")
	for _, key := range []struct{ key, group, name string }{
		{"goarch", "node", "architecture"}, {"cpu", "node", "processor"}, {"accelerator", "node", report.FactAccelerator},
		{"pmem-emulated", "node", report.FactEmulated},
	} {
		if value := strings.Join(doc.Values(key.group, key.name), "; "); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key.key, oneline.Words(value))
		}
	}
	b.WriteString("pkg: pmem-memcached-e2e\n")
	fmt.Fprintf(&b, "# run: %s\n# version: %s\n", oneline.Words(doc.Run.ID), oneline.Words(doc.Run.Version))
	for _, key := range []struct{ key, group, name string }{
		{"cluster", "cluster", "kubernetes"}, {"driver", "driver", "image"}, {"memcached", "memcached", "version"},
	} {
		if value := strings.Join(doc.Values(key.group, key.name), "; "); value != "" {
			fmt.Fprintf(&b, "# %s: %s\n", key.key, oneline.Words(value))
		}
	}
	b.WriteString("Unit req/s better=higher\nUnit p50-ns better=lower\nUnit p99-ns better=lower\nUnit client-ns/op better=lower\nUnit server-ns/op better=lower\n\n")
	for _, m := range report.Rated(doc.Benchmarks) {
		name := "Benchmark" + camel(m.Name) + "/profile=" + dashed(string(m.Profile))
		for _, reason := range m.Invalid {
			fmt.Fprintf(&b, "# %s is in doubt: %s\n", name, oneline.Words(reason))
		}
		if len(m.Samples) == 0 {
			fmt.Fprintf(&b, "%s/memory=%s %d %s req/s\n", name, report.Memory, max(1, m.Operations), decimal(m.PerSecond()))
			continue
		}
		lines(&b, name+"/memory="+report.Memory, m.Samples)
		if m.Control != nil {
			lines(&b, name+"/memory="+dashed(m.Control.Name), m.Control.Samples)
		}
	}
	specLines(&b, doc)
	return b.Bytes(), nil
}

// specLines writes a line for each spec that came to an end, and one for the whole run, with what
// the lab's programs cost if that is known. Specs that run next to others take longer, so that how many do is a key.
func specLines(b *bytes.Buffer, doc report.Document) {
	fmt.Fprintf(b, "\nparallel: %d\n", max(1, doc.Run.Parallel))
	for _, s := range doc.Specs {
		if s.Complete && s.Work != nil {
			fmt.Fprintf(b, "BenchmarkSpec/id=%s 1 %d ns/op %s%s\n", s.ID, s.Took, work(*s.Work), processor(s.Processor))
		}
	}
	if doc.Run.Work == nil {
		return
	}
	fmt.Fprintf(b, "BenchmarkRun 1 %d ns/op %s%s\n", doc.Run.Ended.Sub(doc.Run.Started), work(*doc.Run.Work), processor(doc.Run.Processor))
}

func processor(used map[string]time.Duration) string {
	var b strings.Builder
	for _, program := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&b, " %d %s-cpu-ns/op", used[program], dashed(program))
	}
	return b.String()
}

func work(w report.Work) string {
	return fmt.Sprintf("%d pods/op %d execs/op %d questions/op %d requests/op", w.Pods, w.Execs, w.Questions, w.AllRequests())
}

// lines writes samples; each is one iteration, a load.
func lines(b *bytes.Buffer, name string, samples []report.Sample) {
	for _, s := range samples {
		fmt.Fprintf(b, "%s 1 %s req/s %d p50-ns %d p99-ns %d client-ns/op", name, decimal(s.PerSecond), s.P50, s.P99, s.ClientCPU)
		if s.ServerCPU > time.Duration(0) {
			fmt.Fprintf(b, " %d server-ns/op", s.ServerCPU)
		}
		b.WriteByte('\n')
	}
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// words are the runs of letters and digits in text.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' })
}

// camel is the name of a benchmark as Go has it: GetHeavy of get-heavy.
func camel(text string) string {
	var b strings.Builder
	for _, word := range words(text) {
		first, size := utf8.DecodeRuneInString(word)
		b.WriteRune(unicode.ToUpper(first))
		b.WriteString(word[size:])
	}
	return b.String()
}

// dashed is the value of a part of that name.
func dashed(text string) string { return strings.Join(words(text), "-") }
