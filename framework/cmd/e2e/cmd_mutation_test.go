package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/mutation"
)

func TestChooseMutants(t *testing.T) {
	all := []mutant.Mutant{{Name: "no-memory-file"}, {Name: "ballast"}, {Name: "host-port"}, {Name: "starts-once"}}
	chosen := func(variables map[string]string) (string, error) {
		list, err := chooseMutants(all, func(name string) string { return variables[name] })
		var names []string
		for _, m := range list {
			names = append(names, m.Name)
		}
		return strings.Join(names, ","), err
	}
	if got, err := chosen(nil); err != nil || strings.Count(got, ",") != 3 {
		t.Errorf("without a choice: %q, %v", got, err)
	}
	if got, err := chosen(map[string]string{"MUTANT": "host-port,ballast"}); err != nil || got != "host-port,ballast" {
		t.Errorf("by name: %q, %v", got, err)
	}
	first, err := chosen(map[string]string{"SAMPLE": "2", "SEED": "3"})
	again, _ := chosen(map[string]string{"SAMPLE": "2", "SEED": "3"})
	if err != nil || first != again || strings.Count(first, ",") != 1 {
		t.Errorf("by seed: %q, then %q, %v", first, again, err)
	}
	var others []string
	for _, seed := range []string{"4", "5", "6", "7", "8"} {
		got, _ := chosen(map[string]string{"SAMPLE": "2", "SEED": seed})
		others = append(others, got)
	}
	if !slices.ContainsFunc(others, func(names string) bool { return names != first }) {
		t.Errorf("every seed chooses %q", first)
	}
	for _, tt := range []struct {
		variables map[string]string
		want      []string
	}{
		{map[string]string{"MUTANT": "no-memory-fil"}, []string{"MUTANT", `"no-memory-fil"`, "did you mean no-memory-file?"}},
		{map[string]string{"MUTANT": "ballast", "SAMPLE": "1"}, []string{"SAMPLE", "MUTANT names the mutants already"}},
		{map[string]string{"SAMPLE": "5"}, []string{"SAMPLE", `"5"`, "from 1 to 4"}},
		{map[string]string{"SAMPLE": "0"}, []string{"SAMPLE", `"0"`}},
		{map[string]string{"SAMPLE": "1", "SEED": "x"}, []string{"SEED", `"x"`}},
	} {
		_, err := chosen(tt.variables)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v is %v, want %q", tt.variables, err, want)
			}
		}
	}
}

// TestKillMatrix makes sure that e2e/MUTANTS.md has what is declared and what the runs in the file next to the
// declarations have found.
func TestKillMatrix(t *testing.T) {
	all, catalogue, err := declaredMutants()
	if err != nil {
		t.Fatal(err)
	}
	const path = "../../../e2e/testdata/mutants/mutation.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	matrix, err := mutation.Decode(path, text)
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, "../../../e2e/MUTANTS.md", "<!-- Written by make catalogue from testdata/mutants; changes here are lost. -->\n\n"+matrix.Markdown(catalogue, all))
}
