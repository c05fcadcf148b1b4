package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/e2e/testdata/broken"
	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/spec"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "Explain a requirement or a spec",
		Long: `Explain a requirement or a spec: its text and source, what checks it, what it needs, how many
of the mutants that violate it were killed, and by which specs, and the deployments in
e2e/testdata/broken that violate it. An id such as RST-12 may name both.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			catalogue, err := spec.NewCatalogue(framework.Specs())
			if err != nil {
				return err
			}
			deployments, err := broken.Deployments()
			if err != nil {
				return err
			}
			proof, err := mutants.Proof()
			if err != nil {
				return err
			}
			return explain(cmd.OutOrStdout(), catalogue, proof, deployments, args[0])
		},
	}
}

func explain(w io.Writer, c spec.Catalogue, proof spec.Proof, deployments []broken.Deployment, id string) error {
	given := id
	id = strings.ToUpper(id)
	requirement, isRequirement := c.Requirement(spec.ReqID(id))
	i := slices.IndexFunc(c.Specs, func(s spec.Spec) bool { return s.ID == id })
	if !isRequirement && i < 0 {
		var ids []string
		for _, r := range c.Requirements {
			ids = append(ids, string(r.ID))
		}
		for _, s := range c.Specs {
			ids = append(ids, s.ID)
		}
		return fmt.Errorf("%q is neither a requirement nor a spec; did you mean %s?", given, nearest.To(given, ids))
	}
	var b strings.Builder
	if isRequirement {
		explainRequirement(&b, c, proof, deployments, requirement)
	}
	if isRequirement && i >= 0 {
		b.WriteString("\n")
	}
	if i >= 0 {
		explainSpec(&b, c, deployments, c.Specs[i])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// field writes a value under its name; a value of several lines is indented.
func field(b *strings.Builder, name string, lines ...string) {
	for _, line := range lines {
		if line == "" {
			continue
		}
		fmt.Fprintf(b, "  %-12s %s\n", name, line)
		name = ""
	}
}

func explainRequirement(b *strings.Builder, c spec.Catalogue, proof spec.Proof, deployments []broken.Deployment, r spec.Requirement) {
	fmt.Fprintf(b, "requirement %s\n", r.ID)
	field(b, "text", r.Text)
	field(b, "level", string(r.Level))
	field(b, "modes", joined(r.Profiles))
	field(b, "source", r.Source)
	field(b, "memcached", r.Versions)
	var specs []string
	for _, p := range r.Profiles {
		covered := c.CoveredIn(r.ID, p)
		if len(covered) == 0 {
			specs = append(specs, fmt.Sprintf("%s: none: %s", p, r.WhyUnexamined(p)))
		}
		for _, id := range covered {
			i := slices.IndexFunc(c.Specs, func(s spec.Spec) bool { return s.ID == id })
			specs = append(specs, fmt.Sprintf("%s: %-8s %s", p, id, c.Specs[i].Title))
		}
	}
	field(b, "specs", specs...)
	var killed []string
	for _, p := range r.Profiles {
		pair, found := proof.Of(r.ID, p)
		if !found {
			continue
		}
		line := fmt.Sprintf("%s: %s", p, pair)
		if why := cmp.Or(pair.Exempt, strings.Join(pair.Specs, ", ")); why != "" {
			line += ": " + why
		}
		killed = append(killed, line)
	}
	field(b, "killed", killed...)
	field(b, "violated by", violations(deployments, func(x mutant.Rejection) bool { return slices.Contains(x.Violates, r.ID) })...)
}

func explainSpec(b *strings.Builder, c spec.Catalogue, deployments []broken.Deployment, s spec.Spec) {
	fmt.Fprintf(b, "spec %s\n", s.ID)
	field(b, "title", s.Title)
	field(b, "level", string(s.Level))
	field(b, "mode", string(s.Profile))
	var covered []string
	for _, id := range s.Covers {
		r, _ := c.Requirement(id)
		covered = append(covered, fmt.Sprintf("%s %s", id, r.Text))
	}
	field(b, "covers", covered...)
	field(b, "needs", joined(s.Needs))
	field(b, "tags", strings.Join(s.Tags, ", "))
	field(b, "budget", s.Budget.String())
	if s.RunsAlone() {
		field(b, "alone", "no other spec runs in the meantime")
	}
	field(b, "run", "e2e run --focus "+s.ID)
	field(b, "must fail on", violations(deployments, func(x mutant.Rejection) bool { return slices.Contains(x.By, s.ID) })...)
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

// violations are the deployments with a rejection that concerns, and how those
// fail.
func violations(deployments []broken.Deployment, concerns func(mutant.Rejection) bool) []string {
	var lines []string
	for _, d := range deployments {
		for _, r := range d.Rejections {
			if !concerns(r) {
				continue
			}
			line := fmt.Sprintf("%s=e2e/testdata/broken/%s: %s: %s", d.Variable, d.Directory, strings.Join(r.By, ", "), r.With)
			if r.Expected {
				line += " (expected, not seen yet)"
			}
			lines = append(lines, line)
		}
	}
	return lines
}
