package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/live"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render"
	"pmem-memcached-e2e/framework/report/schema"
	"pmem-memcached-e2e/framework/report/userfile"
)

// exitWorse is that of a diff to a worse report, and of a report that is
// refused.
const exitWorse = 1

func newReport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "report", Short: "Show, compare and check the reports of runs",
		Long: "Show, compare and check the reports of runs. A file that cannot be read as a report is exit code 3.",
	}
	cli.Group(cmd)
	cmd.AddCommand(newShow(), newDiff(), newValidate(), newRender(), newSchema())
	return cmd
}

func read(path string) (report.Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return report.Document{}, err
	}
	return report.Decode(path, data)
}

func newShow() *cobra.Command {
	return &cobra.Command{
		Use: "show REPORT", Short: "Print the outcomes and the verdict of a report", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := read(args[0])
			if err != nil {
				return err
			}
			printer := live.New(os.Stdout, os.Getenv)
			defer printer.Close()
			printer.Verdict(doc, filepath.Dir(args[0]))
			return nil
		},
	}
}

func newDiff() *cobra.Command {
	write := report.Diff.Text
	markdown := false
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "Compare two reports", Args: cobra.ExactArgs(2),
		Long: "Compare two reports (report.yaml). The exit code is 1 when the new one is worse.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if markdown {
				write = report.Diff.Markdown
			}
			var docs [2]report.Document
			for i, path := range args {
				var err error
				if docs[i], err = read(path); err != nil {
					return err
				}
			}
			diff := report.Compare(docs[0], docs[1])
			if err := write(diff, cmd.OutOrStdout()); err != nil || !diff.Worse() {
				return err
			}
			return cli.Exit(exitWorse)
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write Markdown, for the summary of a job")
	return cmd
}

func newValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate REPORT", Short: "Check a report: schema, digests, verdict", Args: cobra.ExactArgs(1),
		Long: "Check a report: its schema, the digests of its evidence, and whether the verdict follows from\nthe outcomes. The exit code is 1 when the report is refused.",
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := read(args[0])
			if err != nil {
				return err
			}
			if err := report.ValidateFile(args[0]); err != nil {
				_, writeErr := fmt.Fprintf(cmd.OutOrStdout(), "refused  %s\n%v\n", args[0], err)
				return errors.Join(cli.Exit(exitWorse), writeErr)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid    %s: %s, run %s\n", args[0], doc.Verdict.Result, doc.Run.ID)
			return err
		},
	}
}

func newBaseline() *cobra.Command {
	return &cobra.Command{
		Use: "baseline REPORT", Short: "Print a baseline with what a report has measured", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := read(args[0])
			if err != nil {
				return err
			}
			data, err := userfile.NewBaseline(doc)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
}

func newRender() *cobra.Command {
	return &cobra.Command{
		Use: "render REPORT DIR", Short: "Write the other forms of a report into a directory", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := renderReport(args[0], args[1])
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "written  %d files into %s\n", n, args[1])
			}
			return err
		},
	}
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema KIND", Short: "Print the JSON schema of a kind of file", Args: cobra.ExactArgs(1), ValidArgs: schema.Names(),
		Long: `Print the JSON schema of a kind of file, for editors and other programs:

  report           report.yaml, with the digest in its first line
  known-failures   the file that KNOWN_FAILURES names
  baseline         the file that BASELINE names
  config           the file that CONFIG names`,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := schema.Of(args[0])
			if err == nil {
				_, err = cmd.OutOrStdout().Write(data)
			}
			return err
		},
	}
}

// renderReport returns how many files it has written. It leaves none of an
// earlier report.
func renderReport(path, dir string) (int, error) {
	doc, err := read(path)
	if err != nil {
		return 0, err
	}
	files, err := render.Files(doc)
	if err != nil {
		return 0, err
	}
	for _, name := range render.Names() {
		if _, wanted := files[name]; wanted {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return 0, fmt.Errorf("remove the files of an earlier report: %w", err)
		}
	}
	return len(files), report.WriteFiles(dir, files)
}
