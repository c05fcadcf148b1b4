package spec

import (
	"bytes"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func fittingCatalogue(t *testing.T) Catalogue {
	t.Helper()
	c, err := newCatalogue([]byte(list), fitting())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMarkdown(t *testing.T) {
	const want = `
## Covered

| chapter | MUST | SHOULD | FACT | all |
| --- | ---: | ---: | ---: | ---: |
| Restart | 1 of 1 | 1 of 1 |  | 2 of 2 |
| Surroundings |  |  | 0 of 1 | 0 of 1 |
| all | 1 of 1 | 1 of 1 | 0 of 1 | 2 of 3 |

A MUST is examined in each mode for which it is stated: specs examine 1 of 1 pairs of a MUST and a mode.

The specs are tested on deployments with one fault each: 5 of 6 mutants killed, 2 of 2 equivalents accepted. The last column
has how many of the mutants that violate a requirement were killed by a check that names it; [MUTANTS.md](MUTANTS.md) has their names.

## Restart

| id | level | profiles | requirement | specs, or why there is none | mutants killed |
|---|---|---|---|---|---|
| RST-01 | MUST | persistent | A key survives a restart. | RST-01 | 5 of 6 |
| RST-02 | SHOULD | ephemeral, persistent | A restart \| is quick. (memcached &gt;= 1.6.9) | ephemeral: RST-02; persistent: RST-01 | ephemeral: none can; persistent: none yet |

## Surroundings

| id | level | profiles | requirement | specs, or why there is none | mutants killed |
|---|---|---|---|---|---|
| OPS-01 | FACT | driver | The sun rises. | nobody can change it |  |

## Specs

The budget is the longest time for a spec's body at wait scale 1.

| id | title | profile | level | needs | budget | covers |
|---|---|---|---|---|---|---|
| RST-01 | a key survives | persistent | MUST |  | 1h | RST-01, RST-02 |
| RST-02 | a restart is quick | ephemeral | SHOULD | inline-volume, dax | 1m30s | RST-02 |
`
	got := fittingCatalogue(t).Markdown(Proof{Killed: 5, Mutants: 6, Accepted: 2, Equivalents: 2, Pairs: []PairProof{
		{Requirement: "RST-01", Profile: Persistent, Killed: 5, Mutants: 6},
		{Requirement: "RST-02", Profile: Ephemeral, Exempt: "nobody can"},
		{Requirement: "RST-02", Profile: Persistent},
	}})
	_, tables, _ := bytes.Cut(got, []byte("violate it.\n"))
	if string(tables) != want {
		t.Errorf("got:\n%s\nwant:\n%s", tables, want)
	}
}

func TestYAML(t *testing.T) {
	const want = `# Written by make catalogue; changes here are lost.
schema: pmem-memcached-e2e/catalogue/v1
pairs:
  stated: 1
  examined: 1
totals:
- chapter: Restart
  level: MUST
  all: 1
  covered: 1
- chapter: Restart
  level: SHOULD
  all: 1
  covered: 1
- chapter: Surroundings
  level: FACT
  all: 1
  covered: 0
requirements:
- id: RST-01
  chapter: Restart
  level: MUST
  profiles:
  - persistent
  text: A key survives a restart.
  source: documentation
  specs:
  - RST-01
- id: RST-02
  chapter: Restart
  level: SHOULD
  profiles:
  - ephemeral
  - persistent
  text: A restart | is quick.
  source: measured
  versions: ">= 1.6.9"
  specs:
  - RST-01
  - RST-02
- id: OPS-01
  chapter: Surroundings
  level: FACT
  profiles:
  - driver
  text: The sun rises.
  source: experience
  uncovered: nobody can change it
specs:
- id: RST-01
  title: a key survives
  profile: persistent
  level: MUST
  budget: 1h
  covers:
  - RST-01
  - RST-02
- id: RST-02
  title: a restart is quick
  profile: ephemeral
  level: SHOULD
  needs:
  - inline-volume
  - dax
  tags:
  - restart
  budget: 1m30s
  covers:
  - RST-02
`
	got, err := fittingCatalogue(t).YAML()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestYAMLOfEmbeddedRequirements makes sure that every text comes back as it
// was, whatever characters it has.
func TestYAMLOfEmbeddedRequirements(t *testing.T) {
	c, err := NewCatalogue(nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Requirements []Requirement `yaml:"requirements"`
	}
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Requirements) != len(c.Requirements) {
		t.Fatalf("%d requirements, want %d", len(got.Requirements), len(c.Requirements))
	}
	for i, r := range got.Requirements {
		if want := c.Requirements[i]; r.ID != want.ID || r.Text != want.Text || r.Source != want.Source || r.Versions != want.Versions || r.Uncovered != want.Uncovered {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		8 * time.Minute: "8m", 90 * time.Second: "1m30s", time.Hour: "1h", 61 * time.Minute: "1h1m", 10 * time.Second: "10s",
		100 * time.Minute: "1h40m", 20 * time.Hour: "20h",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
}
