package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/mutation"
)

func TestChooseMutants(t *testing.T) {
	all := []mutant.Mutant{{Name: "no-memory-file"}, {Name: "ballast"}, {Name: "host-port"}, {Name: "starts-once"}}
	var recorded mutation.Matrix
	chosen := func(variables map[string]string) (string, error) {
		list, err := chooseMutants(all, recorded, func(name string) string { return variables[name] })
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
	recorded.Results = []mutation.Result{{Mutant: "ballast", State: mutation.Killed}, {Mutant: "host-port", State: mutation.Survived}, {Mutant: "starts-once", State: mutation.Killed, Seconds: 200}}
	if got, err := chosen(map[string]string{"SAMPLE": "1", "RECORDED": "1"}); err != nil || got != "ballast" {
		t.Errorf("of those that are recorded as killed: %q, %v", got, err)
	}
	if got, err := chosen(map[string]string{"RECORDED": "0"}); err != nil || strings.Contains(got, "ballast") || strings.Contains(got, "starts-once") || !strings.Contains(got, "host-port") {
		t.Errorf("of those that are not: %q, %v", got, err)
	}
	for _, tt := range []struct {
		variables map[string]string
		want      []string
	}{
		{map[string]string{"MUTANT": "no-memory-fil"}, []string{"MUTANT", `"no-memory-fil"`, "did you mean no-memory-file?"}},
		{map[string]string{"MUTANT": "ballast", "SAMPLE": "1"}, []string{"SAMPLE", "MUTANT names the mutants already"}},
		{map[string]string{"SAMPLE": "5"}, []string{"SAMPLE", `"5"`, "from 1 to 4"}},
		{map[string]string{"SAMPLE": "0"}, []string{"SAMPLE", `"0"`}},
		{map[string]string{"SAMPLE": "2", "RECORDED": "1"}, []string{"SAMPLE", "from 1 to 1"}},
		{map[string]string{"RECORDED": "yes"}, []string{"RECORDED", `"yes"`}},
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

// TestKillMatrix makes sure that e2e/MUTANTS.md and the proof in the program have what is declared and what the runs in
// the file next to the declarations have found, and that the README has the score.
func TestKillMatrix(t *testing.T) {
	declared, err := declaredMutants()
	if err != nil {
		t.Fatal(err)
	}
	declared.Checkout = "../../.."
	path := filepath.Join(declared.Checkout, record)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	matrix, err := mutation.Decode(path, text)
	if err != nil {
		t.Fatal(err)
	}
	markdown, err := declared.Markdown(matrix)
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, "../../../e2e/MUTANTS.md", "<!-- Written by make catalogue from testdata/mutants; changes here are lost. -->\n\n"+markdown)
	proof, err := declared.Proof(matrix)
	if err != nil {
		t.Fatal(err)
	}
	text, err = proof.YAML()
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, "../../../e2e/testdata/mutants/proof.yaml", text)
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if score := proof.String(); !strings.Contains(strings.Join(strings.Fields(string(readme)), " "), score) {
		t.Errorf("README.md lacks the score of today: %s", score)
	}
}

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		parallel, pmem int
		limit          string
		want           string
	}{
		{parallel: 2}, {parallel: 4, pmem: 4096}, {limit: "8m"},
		{parallel: 4, want: `PARALLEL="4": each mutant needs 1024 MiB of persistent memory on a node, which has 3072; set LAB_PMEM=4096, or PARALLEL=3`},
		{limit: "soon", want: `LIMIT="soon": set a time such as 8m`},
		{limit: "-8m", want: "LIMIT"},
	} {
		c := config.Config{Parallel: tt.parallel, Cluster: config.Cluster{Provider: config.Lab}, Lab: config.LabSettings{PMEM: tt.pmem}}
		pace, err := paceOf(c, func(string) string { return tt.limit })
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v is %v", tt, err)
			}
		case err != nil || pace.Parallel != max(tt.parallel, 1) || pace.Until.IsZero() != (tt.limit == ""):
			t.Errorf("%+v is %+v, %v", tt, pace, err)
		}
	}
}

func TestGiven(t *testing.T) {
	cmd := newMutation()
	if err := cmd.ParseFlags([]string{"--sample", "3", "--record"}); err != nil {
		t.Fatal(err)
	}
	setting := given(cmd.Flags(), func(variable string) string {
		return map[string]string{"SAMPLE": "10", "SEED": "7"}[variable]
	})
	for variable, want := range map[string]string{"SAMPLE": "3", "RECORD": "1", "SEED": "7", "MUTANT": "", "NO_FLAG": ""} {
		if got := setting(variable); got != want {
			t.Errorf("%s is %q, want %q", variable, got, want)
		}
	}
}
