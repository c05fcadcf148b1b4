package mutant

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func TestWriteAll(t *testing.T) {
	fsys := manifestsWith(manifestText)
	all, err := Edits(fsys, spec.Ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(name string) Edit {
		return all[slices.IndexFunc(all, func(e Edit) bool { return e.Name == name })]
	}
	nodePort, two, script := edit("manifest-set-type-NodePort"), edit("manifest-set-replicas-2"), edit("init-drop-kill-USR1-1")
	dir, err := WriteAll([]Edit{two, script, nodePort}, fsys, spec.Ephemeral, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		"memcached-ephemeral.yaml": {"type: NodePort", "replicas: 2", "readOnlyRootFilesystem: true"}, "../" + initScript: {"then\n\t:\nfi"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range want {
			if !strings.Contains(string(text), word) {
				t.Errorf("%s lacks %q:\n%s", file, word, text)
			}
		}
		if strings.Contains(string(text), "ClusterIP") || strings.Contains(string(text), "kill -USR1") {
			t.Errorf("%s is as it was:\n%s", file, text)
		}
	}
	for _, tt := range []struct {
		a, b  Edit
		apart bool
	}{
		{nodePort, two, true},
		{two, script, true},
		{nodePort, edit("manifest-drop-type"), false},
		{two, edit("manifest-set-replicas-0"), false},
		{edit("manifest-drop-memcached.securityContext"), edit("manifest-set-memcached.security.readOnlyRootFilesystem-false"), false},
		{script, edit("init-swap-lt-gt-in-if-1-lt-x-then"), false}, // the line before
	} {
		a, errA := tt.a.Place(fsys)
		b, errB := tt.b.Place(fsys)
		if err := errors.Join(errA, errB); err != nil || a.Meets(b) == tt.apart {
			t.Errorf("%s and %s are apart: %v, want %v: %v", tt.a.Name, tt.b.Name, !a.Meets(b), tt.apart, err)
		}
	}
	if _, err := WriteAll([]Edit{two, edit("manifest-set-replicas-0")}, fsys, spec.Ephemeral, t.TempDir()); err == nil {
		t.Error("two edits of one line are no error")
	}
}
