package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/markdown"
	"pmem-memcached-e2e/framework/nearest"
)

// output is the form in which a command prints what it found.
type output string

const (
	asTable    output = "table"
	asYAML     output = "yaml"
	asMarkdown output = "markdown"
)

// outputFlag gives cmd the flag --output with some forms, the first of which is
// the default.
func outputFlag(cmd *cobra.Command, forms ...output) *output {
	v := &outputValue{form: forms[0]}
	for _, f := range forms {
		v.names = append(v.names, string(f))
	}
	cmd.Flags().VarP(v, "output", "o", strings.Join(v.names, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(v.names, cobra.ShellCompDirectiveNoFileComp))
	return &v.form
}

type outputValue struct {
	form  output
	names []string
}

func (v *outputValue) String() string { return string(v.form) }
func (v *outputValue) Type() string   { return "form" }

func (v *outputValue) Set(text string) error {
	if !slices.Contains(v.names, text) {
		return fmt.Errorf("there is no such form; did you mean %s?", nearest.To(text, v.names))
	}
	v.form = output(text)
	return nil
}

// writeTable writes rows, the first of which is the head.
func writeTable(w io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return table.Flush()
}

// writeMarkdown writes rows, the first of which is the head.
func writeMarkdown(w io.Writer, rows [][]string) error {
	table := markdown.Table{Head: rows[0]}
	for _, row := range rows[1:] {
		table.Rows = append(table.Rows, markdown.Texts(row...))
	}
	_, err := io.WriteString(w, table.String())
	return err
}

func writeYAML(w io.Writer, data any) error {
	text, err := yaml.MarshalWithOptions(data, yaml.IndentSequence(false))
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
