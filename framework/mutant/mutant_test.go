package mutant

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pmem-memcached-e2e/framework/spec"
)

const manifestText = `kind: Service
spec:
  type: ClusterIP
---
kind: Deployment
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: memcached
        securityContext:
          readOnlyRootFilesystem: true
        env:
        - name: MEMCACHED_ARGS
          value: ""
`

const initText = `#!/bin/sh
# a comment
if [ 1 -lt "$x" ]; then
	kill -USR1 1
fi
cat <<-END
	exit 0
END
`

func manifestsWith(manifest string) fstest.MapFS {
	return fstest.MapFS{
		"ephemeral/memcached-ephemeral.yaml": {Data: []byte(manifest)},
		initScript:                           {Data: []byte(initText)},
		wrapperScript:                        {Data: []byte("exit 0 # done\nexit 0\n")},
	}
}

func TestEdits(t *testing.T) {
	edits, err := Edits(manifestsWith(manifestText), spec.Ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range edits {
		names = append(names, e.Name)
	}
	for _, want := range []string{
		"manifest-drop-type", "manifest-set-type-NodePort", "manifest-set-replicas-0", "manifest-set-replicas-2",
		"manifest-drop-memcached.securityContext", "manifest-set-memcached.security.readOnlyRootFilesystem-false",
		"manifest-set-memcached.args-U-11211", "init-swap-lt-gt-in-if-1-lt-x-then", "init-drop-kill-USR1-1",
		"init-swap-USR1-TERM-in-kill-USR1-1", "wrapper-drop-exit-0", "wrapper-drop-exit-0-2",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no edit %s among %q", want, names)
		}
	}
	for _, name := range names {
		if strings.Contains(name, "comment") || name == "init-drop-exit-0" {
			t.Errorf("%s edits a comment or a document", name)
		}
	}
}

func TestWrite(t *testing.T) {
	fsys := manifestsWith(manifestText)
	edits, err := Edits(fsys, spec.Ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edits[0].Write(fsys, spec.Ephemeral, t.TempDir()); err != nil {
		t.Error(err)
	}
	fsys[edits[0].File].Data = []byte(edits[0].text)
	if _, err := edits[0].Write(fsys, spec.Ephemeral, t.TempDir()); err == nil {
		t.Error("an edit that changes nothing is no error")
	}
}

func TestDeclaredErrors(t *testing.T) {
	c := spec.Catalogue{Specs: []spec.Spec{
		{ID: "EPH-01", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-01"}},
		{ID: "RST-01", Profile: spec.Persistent, Covers: []spec.ReqID{"RST-01"}},
	}}
	fsys := manifestsWith("spec:\n  type: ClusterIP\n")
	fsys["persistent/memcached-persistent.yaml"] = &fstest.MapFile{Data: []byte("spec:\n  replicas: 1\n")}
	for _, tt := range []struct{ declared, want string }{
		{"- violates: [EPH-01]\n  by: [EPH-01]\n  edits: [manifest-drop-typo]\n", `"manifest-drop-typo", which no rule makes`},
		{"- violates: [EPH-01]\n  by: [EPH-01]\n  edits: [manifest-drop-replicas]\n", "which no rule makes for the modes of by, [ephemeral]"},
		{"- violates: [EPH-01]\n  by: [EPH-01]\n  edits: [manifest-drop-type, manifest-drop-type]\n", "declared already"},
		{"- violates: [EPH-01]\n  by: [EPH-01]\n  edits: [manifest-drop-type]\n", "wrapper-drop-exit-0 is not declared"},
	} {
		_, err := Declared("x.yaml", []byte(tt.declared), fsys, c)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\nis %v, want %q", tt.declared, err, tt.want)
		}
	}
}

func TestDeclaredTwice(t *testing.T) {
	c := spec.Catalogue{Specs: []spec.Spec{
		{ID: "EPH-01", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-01"}},
		{ID: "EPH-03", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-03"}},
	}}
	fsys := manifestsWith("spec:\n  type: ClusterIP\n")
	fsys[initScript] = &fstest.MapFile{Data: []byte("#\n")}
	fsys[wrapperScript], fsys["persistent/memcached-persistent.yaml"] = fsys[initScript], fsys[initScript]
	all, err := Edits(fsys, spec.Ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	rest := "- refused: no\n  edits:\n"
	for _, e := range all {
		if e.Name != "manifest-drop-type" {
			rest += "  - " + e.Name + "\n"
		}
	}
	first, second := "- violates: [EPH-01]\n  by: [EPH-01]\n  edits: [manifest-drop-type]\n", "- violates: [EPH-03]\n  by: [EPH-03]\n  edits: [manifest-drop-type]\n"
	mutants, err := Declared("x.yaml", []byte(rest+first+second), fsys, c)
	if err != nil || len(mutants) != 1 || len(mutants[0].Rejections) != 2 || !slices.Equal(mutants[0].Specs(), []string{"EPH-01", "EPH-03"}) {
		t.Errorf("two declarations make %+v, %v", mutants, err)
	}
	if _, err = Declared("x.yaml", []byte(rest+first+"- equivalent: yes\n  by: [EPH-03]\n  edits: [manifest-drop-type]\n"), fsys, c); err == nil {
		t.Error("an edit that violates something and is equivalent is no error")
	}
}

func TestValidate(t *testing.T) {
	c := spec.Catalogue{Specs: []spec.Spec{
		{ID: "EPH-01", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-01"}},
		{ID: "RST-01", Profile: spec.Persistent, Covers: []spec.ReqID{"RST-01"}},
	}}
	rejects := func(by string, req spec.ReqID) []Rejection {
		return []Rejection{{By: []string{by}, Violates: []spec.ReqID{req}}}
	}
	for _, tt := range []struct {
		m    Mutant
		want string
	}{
		{Mutant{}, "neither a requirement"},
		{Mutant{Rejections: rejects("EPH-01", "EPH-01"), Equivalent: "no"}, "keep one"},
		{Mutant{Mode: spec.Ephemeral, Rejections: rejects("EPH-77", "EPH-01")}, `by is "EPH-77", which is no spec`},
		{Mutant{Mode: spec.Ephemeral, Rejections: rejects("RST-01", "RST-01")}, "is of the mode persistent, want ephemeral"},
		{Mutant{Mode: spec.Ephemeral, Rejections: rejects("EPH-01", "RST-01")}, "EPH-01 covers none of [RST-01]"},
		{Mutant{Equivalent: "yes"}, "no spec runs on it"},
	} {
		if err := tt.m.Validate(c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v\nis %v, want %q", tt.m, err, tt.want)
		}
	}
	if err := (Mutant{Mode: spec.Ephemeral, Rejections: rejects("EPH-01", "EPH-01")}).Validate(c); err != nil {
		t.Error(err)
	}
}
