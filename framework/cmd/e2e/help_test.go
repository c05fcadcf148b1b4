package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// TestHelp makes sure that each help text fits a screen.
func TestHelp(t *testing.T) {
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "settings" {
			return // a list and not a screen
		}
		var out, errs bytes.Buffer
		args := append(strings.Fields(cmd.CommandPath())[1:], "-h")
		if code := execute(t.Context(), args, &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", args, code, &errs)
		}
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		if len(lines) > 40 {
			t.Errorf("%s: %d lines", args, len(lines))
		}
		for _, line := range lines {
			if utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")) > 100 {
				t.Errorf("%s: a line of more than 100 columns: %s", args, line)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

func TestUnknownWords(t *testing.T) {
	for args, want := range map[string]string{
		"lst":                  "e2e: unknown command \"lst\"; did you mean \"list\"?\n",
		"report dif":           "e2e report: unknown command \"dif\"; did you mean \"diff\"?\n",
		"lab staus":            "e2e lab: unknown command \"staus\"; did you mean \"status\"?\n",
		"--focs x":             "e2e run: unknown flag --focs; did you mean --focus?\n",
		"report diff --markdo": "e2e report diff: unknown flag --markdo; did you mean --markdown?\n",
	} {
		var out, errs bytes.Buffer
		if code := execute(t.Context(), withDefault(strings.Fields(args)), &out, &errs); code != 3 || errs.String() != want || out.Len() > 0 {
			t.Errorf("e2e %s: exit code %d, %q, %q; want 3 and %q", args, code, out.String(), errs.String(), want)
		}
	}
}
