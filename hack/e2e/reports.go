package main

import (
	"fmt"
	"io"
	"os"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render"
	"pmem-memcached-e2e/framework/run"
)

// Exit codes of the commands about reports.
const (
	exitFine  = 0
	exitWorse = 1
)

// onReports runs the commands that need no cluster.
func onReports(args []string, stdout, stderr io.Writer) int {
	commands := map[string]struct {
		operands int
		run      func(stdout io.Writer, operands []string) (worse bool, err error)
	}{
		"report-diff": {2, func(stdout io.Writer, operands []string) (bool, error) {
			return reportDiff(stdout, operands, report.Diff.Text)
		}},
		"validate": {1, validate},
		"render":   {2, renderReport},
	}
	c, ok := commands[args[0]]
	if args[0] == "report-diff" && len(args) > 1 && args[1] == "-markdown" {
		c.run = func(stdout io.Writer, operands []string) (bool, error) {
			return reportDiff(stdout, operands, report.Diff.Markdown)
		}
		args = args[1:]
	}
	switch {
	case !ok:
		fmt.Fprintf(stderr, "e2e: %q: no such command, want load, report-diff, validate or render; -help lists all\n", args[0])
		return run.ExitUsage
	case len(args)-1 != c.operands:
		fmt.Fprintf(stderr, "e2e %s: %d operands, want %d; -help tells which\n", args[0], len(args)-1, c.operands)
		return run.ExitUsage
	}
	worse, err := c.run(stdout, args[1:])
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "e2e %s: %v\n", args[0], err)
		return run.ExitUsage
	case worse:
		return exitWorse
	}
	return exitFine
}

func read(path string) (report.Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return report.Document{}, err
	}
	return report.Decode(path, data)
}

func reportDiff(stdout io.Writer, operands []string, write func(report.Diff, io.Writer) error) (worse bool, err error) {
	var docs [2]report.Document
	for i, path := range operands {
		if docs[i], err = read(path); err != nil {
			return false, err
		}
	}
	diff := report.Compare(docs[0], docs[1])
	return diff.Worse(), write(diff, stdout)
}

func validate(stdout io.Writer, operands []string) (worse bool, err error) {
	doc, err := read(operands[0])
	if err != nil {
		return false, err
	}
	if err := report.ValidateFile(operands[0]); err != nil {
		_, err := fmt.Fprintf(stdout, "refused  %s\n%v\n", operands[0], err)
		return true, err
	}
	_, err = fmt.Fprintf(stdout, "valid    %s: %s, run %s\n", operands[0], doc.Verdict.Result, doc.Run.ID)
	return false, err
}

func renderReport(stdout io.Writer, operands []string) (worse bool, err error) {
	doc, err := read(operands[0])
	if err != nil {
		return false, err
	}
	files, err := render.Files(doc)
	if err != nil {
		return false, err
	}
	if err := report.WriteFiles(operands[1], files); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(stdout, "written  %d files into %s\n", len(files), operands[1])
	return false, err
}
