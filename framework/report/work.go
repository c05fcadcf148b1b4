package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Work is what was asked of the cluster.
type Work struct {
	Execs     int            `yaml:"execs"`              // commands for which the API server had a process started in a container
	Questions int            `yaml:"questions"`          // commands that ran in a shell which was there already
	Pods      int            `yaml:"pods"`               // that came up in the namespaces of specs
	Requests  map[string]int `yaml:"requests,omitempty"` // to the API server, by verb; connect: exec, attach and port-forward
}

// Plus is the sum of w and other.
func (w Work) Plus(other Work) Work { return w.with(other, 1) }

// Since is what was done after earlier.
func (w Work) Since(earlier Work) Work { return w.with(earlier, -1) }

func (w Work) with(other Work, sign int) Work {
	sum := Work{
		Execs: w.Execs + sign*other.Execs, Questions: w.Questions + sign*other.Questions, Pods: w.Pods + sign*other.Pods,
		Requests: map[string]int{},
	}
	maps.Copy(sum.Requests, w.Requests)
	for verb, n := range other.Requests {
		sum.Requests[verb] += sign * n
	}
	maps.DeleteFunc(sum.Requests, func(_ string, n int) bool { return n == 0 })
	return sum
}

// AllRequests is the number of requests of all verbs.
func (w Work) AllRequests() int {
	all := 0
	for _, n := range w.Requests {
		all += n
	}
	return all
}

// String is w in one line.
func (w Work) String() string {
	return fmt.Sprintf("%d requests, %d execs, %d questions, %d pods", w.AllRequests(), w.Execs, w.Questions, w.Pods)
}

// ByVerb is the requests in one line, the most frequent verb first.
func (w Work) ByVerb() string {
	verbs := slices.SortedFunc(maps.Keys(w.Requests), func(a, b string) int {
		if d := w.Requests[b] - w.Requests[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, verb := range verbs {
		verbs[i] = fmt.Sprintf("%s %d", verb, w.Requests[verb])
	}
	return strings.Join(verbs, ", ")
}
