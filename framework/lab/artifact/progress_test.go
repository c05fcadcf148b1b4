package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/progress"
)

func TestProgress(t *testing.T) {
	out := &bytes.Buffer{}
	s, err := Open(t.TempDir(), progress.Lines(out))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.work.expect(2)
	var during []string
	say := func(text string) func(context.Context, string, io.Writer) error {
		return func(_ context.Context, _ string, log io.Writer) error {
			fmt.Fprint(log, text)
			during = append(during, s.work.String())
			return nil
		}
	}
	for _, a := range []Artifact{
		{Name: "etcd", Make: say("go.etcd.io/a\ngo.etcd.io/b\n\n")},
		{Name: "root", Make: say(strings.Repeat("x", 5000) + "\r")},
		{Name: "more", Make: say("")},
	} {
		if _, err := s.Get(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{
		"making part 1 of 2: etcd 0s (go.etcd.io/b)",
		"making part 2 of 2: root 0s (" + strings.Repeat("x", 59) + "…)",
		"making the parts: more 0s",
	} {
		if during[i] != want {
			t.Errorf("it shows %q, want %q", during[i], want)
		}
	}
	want := "  etcd                         making, 1 of 2\n  etcd                         made in 0s, 0 MiB\n"
	if !strings.HasPrefix(out.String(), want) || !strings.Contains(out.String(), "more                         making\n") {
		t.Errorf("it reports\n%s\nwant it to begin with\n%s", out, want)
	}

	// What has failed is not shown any more.
	if _, err := s.Get(t.Context(), Artifact{Name: "bad", Make: func(context.Context, string, io.Writer) error { return errors.New("no") }}); err == nil {
		t.Error("no error")
	}
	if got := s.work.String(); strings.Contains(got, "bad") {
		t.Errorf("it shows %q", got)
	}
}
