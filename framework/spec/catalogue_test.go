package spec

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const list = `- chapter: Restart
  requirements:
  - id: RST-01
    level: MUST
    profiles: [persistent]
    text: A key survives a restart.
    source: documentation
  - id: RST-02
    level: SHOULD
    profiles: [ephemeral, persistent]
    text: A restart | is quick.
    source: measured
    versions: ">= 1.6.9"
- chapter: Surroundings
  requirements:
  - id: OPS-01
    level: FACT
    profiles: [driver]
    text: The sun rises.
    source: experience
    uncovered: nobody can change it
`

func TestParseRequirements(t *testing.T) {
	got, places, err := parseRequirements("list.yaml", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[1].Chapter != "Restart" || got[2].Chapter != "Surroundings" || got[1].Versions != ">= 1.6.9" ||
		!slices.Equal(got[1].Profiles, []Profile{Ephemeral, Persistent}) || got[2].Uncovered != "nobody can change it" {
		t.Errorf("requirements: %+v", got)
	}
	if p := places["RST-02"]; p.line != 8 || p.keys["versions"] != 13 {
		t.Errorf("RST-02 stands at %+v, want line 8, its versions in line 13", p)
	}
}

func TestParseRequirementsRefuses(t *testing.T) {
	tests := []struct {
		name     string
		old, new string // what is changed in list; no old: all of it
		want     string
	}{
		{"id", "id: RST-02", "id: rst-2", `list.yaml:8: requirement rst-2: id is "rst-2", want capital letters, a dash and two digits, such as RST-01`},
		{"id twice", "id: RST-02", "id: RST-01", `list.yaml:8: requirement RST-01: id is "RST-01", want each id once, and it stands in line 3`},
		{"level", "level: SHOULD", "level: MAY", `list.yaml:9: requirement RST-02: level is "MAY", want MUST, SHOULD or FACT`},
		{"no level", "    level: SHOULD\n", "", `list.yaml:8: requirement RST-02: level is "", want MUST, SHOULD or FACT`},
		{"profile", "[persistent]", "[both]", `list.yaml:5: requirement RST-01: profiles is "both", want ephemeral, persistent or driver`},
		{"profile twice", "[driver]", "[driver, driver]", `list.yaml:18: requirement OPS-01: profiles is "driver", want each profile once`},
		{"no profile", "[persistent]", "[]", `list.yaml:5: requirement RST-01: profiles is [], want at least one of ephemeral, persistent and driver`},
		{"two sentences", "text: A key survives a restart.", "text: A key survives. It does.", `list.yaml:6: requirement RST-01: text is "A key survives. It does.", want one sentence, on one line, with a capital letter and a full stop`},
		{"no full stop", "The sun rises.", "The sun rises", `list.yaml:19: requirement OPS-01: text is "The sun rises", want one sentence, on one line, with a capital letter and a full stop`},
		{"two lines", "text: The sun rises.", "text: |-\n      The sun\n      rises.", `list.yaml:19: requirement OPS-01: text is "The sun\nrises.", want one sentence, on one line, with a capital letter and a full stop`},
		{"no source", "source: measured", "source:", `list.yaml:12: requirement RST-02: source is "", want the name of a document, on one line`},
		{"versions", `">= 1.6.9"`, "new ones", `list.yaml:13: requirement RST-02: versions is "new ones", want a comparison with a version of memcached, such as >= 1.6.9`},
		{"reason of two lines", "nobody can change it", "|\n      nobody\n      can", `list.yaml:21: requirement OPS-01: uncovered is "nobody\ncan\n", want one line`},
		{"chapter in a requirement", "id: RST-01", "id: RST-01\n    chapter: Other", `list.yaml:4: requirement RST-01: chapter is "Other", want nothing, because the chapter stands above its requirements`},
		{"chapter twice", "chapter: Surroundings", "chapter: Restart", `list.yaml: chapter 2: chapter is "Restart", want a title of its own`},
		{"no chapter", "chapter: Surroundings", "chapter:", `list.yaml: chapter 2: chapter is "", want a title of its own`},
		{"empty chapter", "", "- chapter: Restart\n", `list.yaml: chapter "Restart": requirements is empty, want at least one`},
		{"empty", "", "# nothing\n", "list.yaml: it is empty, " + fileForm},
		{"unknown key", "level: SHOULD", "levle: SHOULD", `list.yaml:9: at "levle": unknown field "levle"; ` + fileForm},
		{"unknown key of a chapter", "- chapter: Surroundings", "- title: Surroundings", `list.yaml:14: at "title": unknown field "title"; ` + fileForm},
		{"key twice", "level: SHOULD", "level: SHOULD\n    level: MUST", `list.yaml:10: at "level": mapping key "level" already defined at [9:5]; ` + fileForm},
		{"wrong type", "[persistent]", "persistent", `list.yaml:5: at "persistent": string was used where sequence is expected; ` + fileForm},
		{"no mapping", "- id: OPS-01\n    level: FACT\n    profiles: [driver]\n    text: The sun rises.\n    source: experience\n    uncovered: nobody can change it\n", "- OPS-01\n",
			`list.yaml:16: at "OPS-01": string was used where mapping is expected; ` + fileForm},
		{"no YAML", "", "- chapter: [", `list.yaml:1: at "[": sequence end token ']' not found; ` + fileForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := tt.new
			if tt.old != "" {
				if strings.Count(list, tt.old) != 1 {
					t.Fatalf("%q is not once in the list", tt.old)
				}
				data = strings.Replace(list, tt.old, tt.new, 1)
			}
			_, _, err := parseRequirements("list.yaml", []byte(data))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error:\n%v\nwant:\n%s", err, tt.want)
			}
		})
	}
}

func TestParseRequirementsTellsEveryDefect(t *testing.T) {
	data := strings.NewReplacer("level: MUST", "level: MAY", "source: experience", "source:").Replace(list)
	_, _, err := parseRequirements("list.yaml", []byte(data))
	if err == nil || !strings.Contains(err.Error(), "list.yaml:4:") || !strings.Contains(err.Error(), "list.yaml:20:") {
		t.Errorf("error %v, want lines 4 and 20", err)
	}
}

// fitting are specs that fit list.
func fitting() []Spec {
	return []Spec{
		{ID: "RST-02", Title: "a restart is quick", Covers: []ReqID{"RST-02"}, Level: Should, Profile: Ephemeral,
			Needs: []Feature{InlineVolume, DAX}, Tags: []string{"restart"}, Budget: 90 * time.Second},
		{ID: "RST-01", Title: "a key survives", Covers: []ReqID{"RST-01", "RST-02"}, Level: Must, Profile: Persistent, Budget: time.Hour},
	}
}

func TestNewCatalogue(t *testing.T) {
	specs := fitting()
	c, err := newCatalogue([]byte(list), specs)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	if c.Specs[0].ID != "RST-01" || specs[0].ID != "RST-02" {
		t.Error("the specs are not sorted by id, or the caller's are")
	}
	if got := c.CoveredBy("RST-02"); !slices.Equal(got, []string{"RST-01", "RST-02"}) {
		t.Errorf("RST-02 is covered by %v", got)
	}
	if r, ok := c.Requirement("OPS-01"); !ok || r.Level != Fact {
		t.Errorf("Requirement(OPS-01) = %+v, %v", r, ok)
	}
	if _, ok := c.Requirement("OPS-02"); ok {
		t.Error("Requirement(OPS-02) is there")
	}
}

func TestNewCatalogueRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func([]Spec)
		want   string
	}{
		{"unknown requirement", func(s []Spec) { s[0].Covers = []ReqID{"RST-99"} }, `spec "RST-02": Covers is "RST-99", want an id of requirements.yaml`},
		{"invalid spec", func(s []Spec) { s[0].Title = "" }, `spec "RST-02": Title is "", want one sentence`},
		{"fact as level", func(s []Spec) { s[0].Level = Fact }, `spec "RST-02": Level is "FACT", want MUST or SHOULD`},
		{"id twice", func(s []Spec) { s[0].ID = "RST-01" }, `spec "RST-01": ID is used twice, by "a restart is quick" and "a key survives"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			specs := fitting()
			tt.change(specs)
			_, err := newCatalogue([]byte(list), specs)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error:\n%v\nwant:\n%s", err, tt.want)
			}
		})
	}
}

func TestCatalogueValidate(t *testing.T) {
	tests := []struct {
		name   string
		list   string
		change func([]Spec)
		want   string
	}{
		{"neither covered nor a reason", strings.Replace(list, "    uncovered: nobody can change it\n", "", 1), func([]Spec) {},
			`requirements.yaml:16: requirement OPS-01: uncovered is "", want a reason, because no spec covers it`},
		{"covered and a reason", strings.Replace(list, "source: documentation", "source: documentation\n    uncovered: no spec yet", 1), func([]Spec) {},
			`requirements.yaml:8: requirement RST-01: uncovered is "no spec yet", want nothing, because spec RST-01 covers it`},
		{"too low", list, func(s []Spec) { s[1].Level = Should }, `spec "RST-01": Level is "SHOULD", want "MUST", which RST-01 is`},
		{"too high", list, func(s []Spec) { s[0].Level = Must }, `spec "RST-02": Level is "MUST", want "SHOULD", because nothing that it covers is a MUST`},
		{"other profile", list, func(s []Spec) { s[1].Profile = Ephemeral },
			`requirements.yaml:3: requirement RST-01: unexamined is "", want a reason for persistent, because no spec covers it in that mode` + "\n" +
				`requirements.yaml:8: requirement RST-02: unexamined is "", want a reason for persistent, because no spec covers it in that mode` + "\n" + `spec "RST-01": Profile is "ephemeral", want one of [persistent], where RST-01 holds`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			specs := fitting()
			tt.change(specs)
			c, err := newCatalogue([]byte(tt.list), specs)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Validate(); err == nil || err.Error() != tt.want {
				t.Errorf("error:\n%v\nwant:\n%s", err, tt.want)
			}
		})
	}
}

// TestEmbeddedRequirements reads the project's own list.
func TestEmbeddedRequirements(t *testing.T) {
	c, err := NewCatalogue(nil)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]ReqID{}
	for _, r := range c.Requirements {
		if other, ok := texts[r.Text]; ok {
			t.Errorf("%s and %s have the same text", other, r.ID)
		}
		texts[r.Text] = r.ID
		if r.Level == Fact && r.Uncovered == "" {
			t.Errorf("%s is a FACT and does not say what it describes", r.ID)
		}
	}
}
