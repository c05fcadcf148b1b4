package report

import (
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// Failure is one thing that broke. Without a requirement it is about what the
// spec itself did, and says nothing about the deployment.
type Failure struct {
	Requirement spec.ReqID `yaml:"requirement,omitempty"`
	Check       string     `yaml:"says"` // the check, which reads true when it passes
	Expected    string     `yaml:"expected,omitempty"`
	Observed    string     `yaml:"observed,omitempty"`
	Object      string     `yaml:"object,omitempty"`
}

// Title is the requirement, if any, with the check.
func (f Failure) Title() string {
	if f.Requirement == "" {
		return f.Check
	}
	return string(f.Requirement) + " " + f.Check
}

// Field is a named text, of one line or several.
type Field struct{ Name, Text string }

// Fields are what a failure has besides its title: expected, observed, object.
func (f Failure) Fields() []Field {
	return slices.DeleteFunc([]Field{
		{"expected", strings.TrimSpace(f.Expected)}, {"observed", strings.TrimSpace(f.Observed)}, {"object", strings.TrimSpace(f.Object)},
	}, func(f Field) bool { return f.Text == "" })
}

// String is the title, and below it a line or several for each field.
func (f Failure) String() string {
	var b strings.Builder
	b.WriteString(f.Title())
	for _, field := range f.Fields() {
		fmt.Fprintf(&b, "\n  %-8s  %s", field.Name, strings.ReplaceAll(field.Text, "\n", "\n            "))
	}
	return b.String()
}

// findingLength is the longest text of a field in a finding, in characters.
const findingLength = 100

// Finding is the failure in one line, which reads right without the word that
// something failed: that the requirement is not met, and what was observed.
func (f Failure) Finding() string {
	if !f.violates() {
		return oneline.Of(f.Title())
	}
	text := fmt.Sprintf("%s is not met: %q", f.Requirement, oneline.Of(f.Check))
	for _, field := range f.Fields() {
		if field.Name != "object" {
			text += fmt.Sprintf(", %s %s", field.Name, shortened(oneline.Of(field.Text), findingLength))
		}
	}
	return text
}

func shortened(text string, length int) string {
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length]) + "…"
	}
	return text
}

// Heading says in one line what failures are about.
func Heading(failures []Failure) string {
	if len(failures) == 1 {
		return failures[0].Finding()
	}
	var findings []string
	for _, f := range failures {
		if text := f.Finding(); !slices.Contains(findings, text) {
			findings = append(findings, text)
		}
	}
	return fmt.Sprintf("%d checks failed: %s", len(failures), strings.Join(findings, "; "))
}
