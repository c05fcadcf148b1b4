package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWork(t *testing.T) {
	doc := eventfulDocument()
	want := Work{Execs: 6, Questions: 50, Pods: 3, Requests: map[string]int{"get": 37, "watch": 1}}
	if diff := cmp.Diff(&want, doc.Run.Work); diff != "" {
		t.Errorf("of two processes (-want +got):\n%s", diff)
	}
	if got, want := doc.Run.Work.String()+": "+doc.Run.Work.ByVerb(), "38 requests, 6 execs, 50 questions, 3 pods: get 37, watch 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	since := want.Since(Work{Execs: 2, Pods: 3, Requests: map[string]int{"get": 30, "watch": 1}})
	if diff := cmp.Diff(Work{Execs: 4, Questions: 50, Requests: map[string]int{"get": 7}}, since); diff != "" {
		t.Errorf("a part (-want +got):\n%s", diff)
	}
}
