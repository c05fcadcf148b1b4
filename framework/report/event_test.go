package report

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

func TestEventsComeBackAsTheyWere(t *testing.T) {
	result := violating("RST-01", "RST-01")
	events := []Event{
		{Time: at(1), Kind: SuiteStarted, Text: "7"},
		{Time: at(2), Kind: SpecStarted, Spec: "RST-01"},
		{Time: at(3), Kind: StepStarted, Spec: "RST-01", Text: "two\nlines"},
		{Time: at(4), Kind: WaitEnded, Spec: "RST-01", Wait: &wait.Record{Name: wait.PodRuns, What: "a pod", Took: time.Second, Limit: time.Minute, Done: true, Last: "Running"}},
		{Time: at(5), Kind: FactFound, Fact: &Fact{Group: "cluster", Name: "version", Value: "1", Evidence: "e"}},
		{Time: at(6), Kind: Measured, Benchmark: &Benchmark{Name: "get", Operations: 5}},
		{Time: at(7), Kind: SpecEnded, Result: &result},
		{Time: at(8), Kind: LeakFound, Leak: &volume},
		{Time: at(9), Kind: ErrorMet, Text: "error"},
		{Time: at(10), Kind: SuiteEnded},
	}
	var b bytes.Buffer
	for _, e := range events {
		if err := WriteEvent(&b, e); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines != len(events) {
		t.Errorf("%d lines for %d events", lines, len(events))
	}
	var got []Event
	if err := ReadEvents(&b, func(e Event) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, events) {
		t.Errorf("read %+v, want %+v", got, events)
	}
}

func TestReadEventsRefuses(t *testing.T) {
	const good = `{"Time":"2026-01-02T03:04:05Z","Kind":"suite ended"}` + "\n"
	stop := errors.New("enough")
	tests := []struct {
		name, text string
		fn         error
		want       string // part of the error; empty: none
		read       int    // events
	}{
		{"nothing at all", "", nil, "", 0},
		{"one event", good, nil, "", 1},
		{"cut off", good + good[:30], nil, "event 2 is cut off after 30 bytes", 1},
		{"cut off at the line's end", good[:len(good)-1], nil, "event 1 is cut off", 0},
		{"no JSON, and more after it", "hello\n" + good, nil, `event 1: "hello": invalid character`, 1},
		{"unknown key", `{"Kind":"suite ended","Colour":"red"}` + "\n" + good, nil, `unknown field "Colour"`, 1},
		{"unknown kind", `{"Kind":"party"}` + "\n", nil, `Kind is "party", which is none`, 0},
		{"no kind", "{}\n", nil, `Kind is ""`, 0},
		{"nothing of its kind", `{"Kind":"spec ended","Spec":"RST-01"}` + "\n", nil, `Kind is "spec ended", which needs Result`, 0},
		{"wrong type", `{"Kind":"wait ended","Wait":{"Took":"long"}}` + "\n", nil, "cannot unmarshal string", 0},
		{"two in a line", strings.TrimSpace(good) + good, nil, "more than one value", 0},
		{"the reader is asked to stop", good + good, stop, "enough", 1},
		{"the first of several", "a\nb\n" + good[:5], nil, `event 1: "a"`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			read := 0
			err := ReadEvents(strings.NewReader(tt.text), func(Event) error { read++; return tt.fn })
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("ReadEvents() = %v, want %q", err, tt.want)
			}
			if read != tt.read {
				t.Errorf("%d events were read, want %d", read, tt.read)
			}
		})
	}
}

func TestReadEventsTellsOfALostReader(t *testing.T) {
	r, w := io.Pipe()
	go w.CloseWithError(errors.New("the pipe burst"))
	if err := ReadEvents(r, func(Event) error { return nil }); err == nil || !strings.Contains(err.Error(), "read event 1: the pipe burst") {
		t.Errorf("ReadEvents() = %v", err)
	}
}

func TestEveryKindNeedsWhatItIsAbout(t *testing.T) {
	whole := Event{Spec: "RST-01", Text: "text", Wait: &wait.Record{}, Fact: &Fact{}, Benchmark: &Benchmark{}, Result: &SpecResult{}, Leak: &Leak{}}
	needs := map[EventKind]string{
		SuiteStarted: "", SuiteEnded: "", StepStarted: "", ErrorMet: "", SpecStarted: "Spec", WaitStarted: "Wait", WaitEnded: "Wait",
		FactFound: "Fact", Measured: "Benchmark", LeakFound: "Leak", SpecEnded: "Result",
	}
	for kind, need := range needs {
		whole.Kind = kind
		if why := whole.defect(); why != "" {
			t.Errorf("%s: %s", kind, why)
		}
		if why := (Event{Kind: kind}).defect(); (why != "") != (need != "") || !strings.HasSuffix(why, need) {
			t.Errorf("%s with nothing: %q, want it to name %q", kind, why, need)
		}
	}
}
