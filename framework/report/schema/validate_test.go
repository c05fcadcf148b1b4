package schema

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	data, err := Of(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("file:///"+name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("file:///" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func file(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// example is the YAML in a section of the documentation.
func example(t *testing.T, section string) string {
	t.Helper()
	_, text, _ := strings.Cut(file(t, "../README.md"), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	_, text, _ = strings.Cut(text, "\n```yaml\n")
	text, _, ok := strings.Cut(text, "```\n")
	if !ok {
		t.Fatalf("the documentation has no example under %q", section)
	}
	return text
}

// TestDocumentsMatch holds real files against the schemas.
func TestDocumentsMatch(t *testing.T) {
	for _, tt := range []struct{ name, schema, text string }{
		{"a report", "report", file(t, "../testdata/report.yaml")},
		{"known failures", "known-failures", example(t, "Known failures")},
		{"no known failures", "known-failures", "[]\n"},
		{"a baseline", "baseline", example(t, "Baseline")},
		{"a baseline made from a report", "baseline", file(t, "../userfile/testdata/baseline.yaml")},
		{"settings", "config", example(t, "Settings in a file")},
		{"settings as text and as numbers", "config", "retries: \"1\"\nlab-pmem: 4096\nexclusive: 0\nqualification: true\ncontext: 1.10\nwait-scale: 2.5\nbench-duration: 1m30s\nseed: 17\n"},
	} {
		if err := validate(t, compiled(t, tt.schema), tt.text); err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, tt.text)
		}
	}
}

// TestBrokenDocuments makes one change to a document that matches.
func TestBrokenDocuments(t *testing.T) {
	whole := map[string]string{
		"report": file(t, "../testdata/report.yaml"), "known-failures": example(t, "Known failures"),
		"baseline": example(t, "Baseline"), "config": "retries: 1\nprovider: lab\nlab-pmem: 1024\nwait-scale: 2\nfocus: x\nbench: 1\nbench-duration: 5s\nreport-dir: r\n",
	}
	for _, tt := range []struct{ schema, old, new string }{
		{"report", `^digest: sha256:.`, `digest: sha256:`},
		{"report", `(?s)^digest.*?\n`, ``},
		{"report", `report/v1`, `report/v2`},
		{"report", `(?m)^  interrupted: false\n`, ``},
		{"report", `(?m)^  interrupted: false`, `  interrupted: maybe`},
		{"report", `(?m)^  seed: 7`, "  seed: 7\n  colour: red"},
		{"report", `took: 1.5s`, `took: 1.5`},
		{"report", `took: 1.5s`, `took: long`},
		{"report", `started: 2026-01-02T03:04:05Z`, `started: yesterday`},
		{"report", `outcome: failed`, `outcome: fine`},
		{"report", `result: NOT CONFORMANT`, `result: GOOD`},
		{"report", `level: MUST`, `level: MAY`},
		{"report", `(?m)^trouble:`, `troubles:`},
		{"known-failures", `(?s).*`, `known: []`},
		{"known-failures", `reason: .*`, ``},
		{"known-failures", `reason: .*`, `reason: ""`},
		{"known-failures", `https://`, `ftp://`},
		{"known-failures", `2027-03-31`, `31.03.2027`},
		{"known-failures", `2027-03-31`, `2027-02-31`},
		{"known-failures", `spec: .*`, `spec: 17`},
		{"known-failures", `  link:`, "  met: true\n  link:"},
		{"baseline", `(?s).*`, `[]`},
		{"baseline", `value: 0.95`, `value: 0`},
		{"baseline", `value: 0.95`, `value: fast`},
		{"baseline", `tolerance: 0.1`, `tolerance: 1`},
		{"baseline", `ephemeral`, `both`},
		{"baseline", `  metric`, "  state: held\n  metric"},
		{"config", `(?s).*`, `{}`},
		{"config", `focus`, `FOCUS`},
		{"config", `retries: 1`, `retries: 6`},
		{"config", `retries: 1`, `retries: many`},
		{"config", `provider: lab`, `provider: minikube`},
		{"config", `lab-pmem: 1024`, `lab-pmem: 1000`},
		{"config", `wait-scale: 2`, `wait-scale: 0`},
		{"config", `focus: x`, `focus: [x]`},
		{"config", `focus: x`, `focus:`},
		{"config", `bench: 1`, `bench: 2`},
		{"config", `bench-duration: 5s`, `bench-duration: 5`},
		{"config", `report-dir: r`, `report-dir: ""`},
	} {
		text := whole[tt.schema]
		at := regexp.MustCompile(tt.old).FindStringIndex(text)
		if at == nil {
			t.Errorf("%s: there is no %q", tt.schema, tt.old)
			continue
		}
		text = text[:at[0]] + tt.new + text[at[1]:]
		if err := validate(t, compiled(t, tt.schema), text); err == nil {
			t.Errorf("%s with %q in place of %q is accepted", tt.schema, tt.new, tt.old)
		}
	}
}
