package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/markdown"
)

// CatalogueSchema names the form of [Catalogue.YAML]. Another form gets
// another name.
const CatalogueSchema = "pmem-memcached-e2e/catalogue/v1"

// Total counts the requirements of a chapter and level.
type Total struct {
	Chapter string `yaml:"chapter"`
	Level   Level  `yaml:"level"`
	All     int    `yaml:"all"`
	Covered int    `yaml:"covered"`
}

var levels = []Level{Must, Should, Fact}

// Totals counts by chapter, in the order of the requirements, and by level.
// What a chapter does not have is left out.
func (c Catalogue) Totals() []Total {
	var totals []Total
	for _, chapter := range c.chapters() {
		for _, level := range levels {
			t := Total{Chapter: chapter, Level: level}
			for _, r := range c.Requirements {
				if r.Chapter != chapter || r.Level != level {
					continue
				}
				t.All++
				if len(c.CoveredBy(r.ID)) > 0 {
					t.Covered++
				}
			}
			if t.All > 0 {
				totals = append(totals, t)
			}
		}
	}
	return totals
}

func (c Catalogue) chapters() []string {
	var titles []string
	for _, r := range c.Requirements {
		if !slices.Contains(titles, r.Chapter) {
			titles = append(titles, r.Chapter)
		}
	}
	return titles
}

// Markdown is the catalogue for people, with what mutants say about its specs.
func (c Catalogue) Markdown(proof Proof) []byte {
	var b strings.Builder
	b.WriteString("# Catalogue of requirements and specs\n\n" +
		"Written by `make catalogue` from `framework/spec/requirements.yaml` and the specs; changes here are lost. The same,\n" +
		"with the source of each requirement, is in `catalogue.yaml`.\n\n" +
		"A MUST decides about conformance. A SHOULD that is not met is reported and prevents nothing. A FACT describes the\n" +
		"environment: nobody can violate it.\n")
	c.writeTotals(&b)
	pairs := c.MustPairs()
	fmt.Fprintf(&b, "\nA MUST is examined in each mode for which it is stated: specs examine %d of %d pairs of a MUST and a mode.\n", pairs.Examined, pairs.Stated)
	fmt.Fprintf(&b, "\nThe specs are tested on deployments with one fault each: %s. The last column\n"+
		"has how many of the mutants that violate a requirement were killed by a check that names it; [MUTANTS.md](MUTANTS.md) has their names.\n", proof)
	for _, chapter := range c.chapters() {
		table := markdown.Table{Head: []string{"id", "level", "profiles", "requirement", "specs, or why there is none", "mutants killed"}}
		for _, r := range c.Requirements {
			if r.Chapter != chapter {
				continue
			}
			text := r.Text
			if r.Versions != "" {
				text += " (memcached " + r.Versions + ")"
			}
			table.Rows = append(table.Rows, markdown.Texts(string(r.ID), string(r.Level), join(r.Profiles), text, c.examinedBy(r), killed(r, proof)))
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s", chapter, table)
	}
	specs := markdown.Table{Head: []string{"id", "title", "profile", "level", "needs", "budget", "covers"}}
	for _, s := range c.Specs {
		specs.Rows = append(specs.Rows, markdown.Texts(s.ID, s.Title, string(s.Profile), string(s.Level), join(s.Needs), duration(s.Budget), join(s.Covers)))
	}
	fmt.Fprintf(&b, "\n## Specs\n\nThe budget is the longest time for a spec's body at wait scale 1.\n\n%s", specs)
	return []byte(b.String())
}

// examinedBy is a cell with the specs of each mode, or the reasons.
func (c Catalogue) examinedBy(r Requirement) string {
	if r.Uncovered != "" {
		return r.Uncovered
	}
	var cells []string
	for _, p := range r.Profiles {
		by := strings.Join(c.CoveredIn(r.ID, p), ", ")
		if by == "" {
			by = "none, " + r.Unexamined[p]
		}
		cells = append(cells, inMode(r, p, by))
	}
	return strings.Join(cells, "; ")
}

// killed is a cell with the mutants of each mode.
func killed(r Requirement, proof Proof) string {
	var cells []string
	for _, p := range r.Profiles {
		if pair, found := proof.Of(r.ID, p); found {
			cells = append(cells, inMode(r, p, pair.String()))
		}
	}
	return strings.Join(cells, "; ")
}

// inMode names the mode that a text is about, unless the requirement has one only.
func inMode(r Requirement, p Profile, text string) string {
	if len(r.Profiles) > 1 {
		return string(p) + ": " + text
	}
	return text
}

func (c Catalogue) writeTotals(b *strings.Builder) {
	totals := c.Totals()
	sum := func(chapter string, level Level) string {
		all, covered := 0, 0
		for _, t := range totals {
			if (chapter == "" || t.Chapter == chapter) && (level == "" || t.Level == level) {
				all, covered = all+t.All, covered+t.Covered
			}
		}
		if all == 0 {
			return ""
		}
		return fmt.Sprintf("%d of %d", covered, all)
	}
	table := markdown.Table{Head: markdown.Texts("chapter", string(Must), string(Should), string(Fact), "all"), Align: []string{"---", "---:", "---:", "---:", "---:"}}
	line := func(title, chapter string) {
		cells := []string{title}
		for _, level := range levels {
			cells = append(cells, sum(chapter, level))
		}
		table.Rows = append(table.Rows, markdown.Texts(append(cells, sum(chapter, ""))...))
	}
	for _, chapter := range c.chapters() {
		line(chapter, chapter)
	}
	line("all", "")
	fmt.Fprintf(b, "\n## Covered\n\n%s", table)
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, word := range list {
		words[i] = string(word)
	}
	return strings.Join(words, ", ")
}

// duration is d without the zeroes of its end.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// YAML is the catalogue for programs.
func (c Catalogue) YAML() ([]byte, error) {
	type requirement struct {
		Requirement `yaml:",inline"`
		Specs       []string `yaml:"specs,omitempty"` // that cover it
	}
	type check struct {
		ID      string    `yaml:"id"`
		Title   string    `yaml:"title"`
		Profile Profile   `yaml:"profile"`
		Level   Level     `yaml:"level"`
		Needs   []Feature `yaml:"needs,omitempty"`
		Tags    []string  `yaml:"tags,omitempty"`
		Budget  string    `yaml:"budget"`
		Covers  []ReqID   `yaml:"covers"`
	}
	document := struct {
		Schema       string        `yaml:"schema"`
		Pairs        PairCount     `yaml:"pairs"` // of level MUST
		Totals       []Total       `yaml:"totals"`
		Requirements []requirement `yaml:"requirements"`
		Specs        []check       `yaml:"specs"`
	}{Schema: CatalogueSchema, Pairs: c.MustPairs(), Totals: c.Totals()}
	for _, r := range c.Requirements {
		document.Requirements = append(document.Requirements, requirement{r, c.CoveredBy(r.ID)})
	}
	for _, s := range c.Specs {
		document.Specs = append(document.Specs, check{s.ID, s.Title, s.Profile, s.Level, s.Needs, s.Tags, duration(s.Budget), s.Covers})
	}
	data, err := yaml.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode the catalogue: %w", err)
	}
	return append([]byte("# Written by make catalogue; changes here are lost.\n"), data...), nil
}
