package trial

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
)

func TestDifferences(t *testing.T) {
	for _, tt := range []struct {
		name                string
		before, after, want []string
	}{
		{"nothing happened", []string{"network bridge", "network host"}, []string{"network host", "network bridge"}, nil},
		{"a container is left", []string{"network bridge"}, []string{"container a", "network bridge"}, []string{"left: container a"}},
		{"an image is gone", []string{"image a", "image b"}, []string{"image b"}, []string{"missing: image a"}},
		{"one more of the same", []string{"volume group a"}, []string{"volume group a", "volume group a"}, []string{"left: volume group a"}},
		{"another mode", []string{"namespace fsdax"}, []string{"namespace raw"}, []string{"left: namespace raw", "missing: namespace fsdax"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := differences(tt.before, tt.after); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStamped(t *testing.T) {
	var to bytes.Buffer
	times := 0
	s := &stamped{start: time.Now().Add(-90 * time.Second), to: &to, mark: "Joining", seen: func() { times++ }}
	for _, part := range []string{"kind  one\r\nkind  Join", "ing worker nodes\n", "Joining again\nno end"} {
		if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if strings.Contains(to.String(), "no end") {
		t.Error("a line without an end was passed on")
	}
	s.flush()
	const want = "   90.0s kind  one\n   90.0s kind  Joining worker nodes\n   90.0s Joining again\n   90.0s no end\n"
	if to.String() != want || times != 1 {
		t.Errorf("got %q, %d times seen; want %q, once", to.String(), times, want)
	}
}

func TestLine(t *testing.T) {
	tr := &trial{Options: Options{
		Parts: &artifact.KindParts{NodeImage: "lab.invalid/kind-node:v1"}, Deployments: map[string]string{"EPHEMERAL": "mutant/ephemeral"},
		Settings: []string{"FOCUS=^(A|it's)"},
	}}
	const want = `echo $$ >/run/trial.pid; exec env 'PROVIDER=kind' 'KIND_PMEM=region0' 'KIND_NODE_IMAGE=lab.invalid/kind-node:v1' ` +
		`'KIND_IMAGES=/media/trial/images' 'REPORT_DIR=/root/report' 'EPHEMERAL=/media/trial/files/mutant/ephemeral' 'FOCUS=^(A|it'\''s)' /media/trial/release/e2e run`
	if got := tr.line(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
