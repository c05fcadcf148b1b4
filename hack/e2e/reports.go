package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

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
	commands := map[string]func(stdout io.Writer, args []string) (worse bool, err error){
		"report-diff": reportDiff,
		"validate":    validate,
		"baseline":    baseline,
		"render":      renderReport,
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "e2e: %q: no such command, want load, report-diff, validate, baseline or render; -help lists all\n", args[0])
		return run.ExitUsage
	}
	worse, err := command(stdout, args[1:])
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "e2e %s: %v\n", args[0], err)
		return run.ExitUsage
	case worse:
		return exitWorse
	}
	return exitFine
}

func wantOperands(n int, args []string) error {
	if len(args) != n {
		return fmt.Errorf("%d operands, want %d; -help tells which", len(args), n)
	}
	return nil
}

func read(path string) (report.Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return report.Document{}, err
	}
	return report.Decode(path, data)
}

func reportDiff(stdout io.Writer, args []string) (worse bool, err error) {
	write := report.Diff.Text
	if len(args) > 0 && args[0] == "-markdown" {
		write, args = report.Diff.Markdown, args[1:]
	}
	if err := wantOperands(2, args); err != nil {
		return false, err
	}
	var docs [2]report.Document
	for i, path := range args {
		if docs[i], err = read(path); err != nil {
			return false, err
		}
	}
	diff := report.Compare(docs[0], docs[1])
	return diff.Worse(), write(diff, stdout)
}

func validate(stdout io.Writer, args []string) (worse bool, err error) {
	if err := wantOperands(1, args); err != nil {
		return false, err
	}
	doc, err := read(args[0])
	if err != nil {
		return false, err
	}
	if err := report.ValidateFile(args[0]); err != nil {
		_, err := fmt.Fprintf(stdout, "refused  %s\n%v\n", args[0], err)
		return true, err
	}
	_, err = fmt.Fprintf(stdout, "valid    %s: %s, run %s\n", args[0], doc.Verdict.Result, doc.Run.ID)
	return false, err
}

func baseline(stdout io.Writer, args []string) (worse bool, err error) {
	if err := wantOperands(1, args); err != nil {
		return false, err
	}
	doc, err := read(args[0])
	if err != nil {
		return false, err
	}
	data, err := report.NewBaseline(doc)
	if err != nil {
		return false, fmt.Errorf("%s: %w", args[0], err)
	}
	_, err = stdout.Write(data)
	return false, err
}

func renderReport(stdout io.Writer, args []string) (worse bool, err error) {
	if err := wantOperands(2, args); err != nil {
		return false, err
	}
	doc, err := read(args[0])
	if err != nil {
		return false, err
	}
	files, err := render.Files(doc)
	if err != nil {
		return false, err
	}
	for _, name := range render.Names() {
		if _, wanted := files[name]; wanted {
			continue
		}
		if err := os.RemoveAll(filepath.Join(args[1], name)); err != nil {
			return false, fmt.Errorf("remove what an earlier report left: %w", err)
		}
	}
	if err := report.WriteFiles(args[1], files); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(stdout, "written  %d files into %s\n", len(files), args[1])
	return false, err
}
