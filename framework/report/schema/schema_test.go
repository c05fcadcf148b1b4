package schema

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/userfile"
	"pmem-memcached-e2e/framework/spec"
)

// TestSchemas makes sure that the published schemas follow from the types.
func TestSchemas(t *testing.T) {
	r := reflector(t)
	doc := r.Reflect(report.Document{})
	doc.ID = jsonschema.ID(urn(report.Schema))
	doc.Properties.Set("schema", &jsonschema.Schema{Const: report.Schema, Description: "The form of the document."})
	doc.Properties.Set("digest", &jsonschema.Schema{Type: "string", Pattern: "^sha256:[0-9a-f]{64}$", Description: "SHA-256 of all lines below the first, which has it."})
	doc.Required = append([]string{"digest"}, doc.Required...)
	golden.File(t, "report.json", encode(t, doc))
	golden.File(t, "known-failures.json", encode(t, listOf(r, userfile.KnownEntry{}, "known-failures", 0)))
	golden.File(t, "baseline.json", encode(t, listOf(r, userfile.BaselineEntry{}, "baseline", 1)))
	settings, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, "config.json", settings)
	for _, name := range Names() {
		if _, err := Of(name); err != nil {
			t.Error(err)
		}
	}
}

func urn(schema string) string { return "urn:" + strings.ReplaceAll(schema, "/", ":") }

// listOf is the schema of a file with entries of one type.
func listOf(r *jsonschema.Reflector, entry any, name string, least uint64) *jsonschema.Schema {
	item := r.Reflect(entry)
	list := &jsonschema.Schema{
		Version: item.Version, ID: jsonschema.ID(urn("pmem-memcached-e2e/" + name + "/v1")),
		Type: "array", Items: item, Definitions: item.Definitions,
	}
	if least > 0 {
		list.MinItems = &least
	}
	item.Version, item.ID, item.Definitions = "", "", nil
	return list
}

// reflector takes names of fields from the tags of YAML, and descriptions from
// the comments.
func reflector(t *testing.T) *jsonschema.Reflector {
	t.Helper()
	r := &jsonschema.Reflector{FieldNameTag: "yaml", ExpandedStruct: true, Mapper: mapped}
	for _, dir := range []string{"../../spec", "../../wait", "..", "../userfile"} {
		if err := r.AddGoComments("pmem-memcached-e2e/framework/report/schema", dir); err != nil {
			t.Fatal(err)
		}
	}
	for key, comment := range r.CommentMap {
		r.CommentMap[key] = strings.Join(strings.Fields(comment), " ")
	}
	return r
}

// mapped has the types that YAML does not write as Go's JSON does, and the
// words that a text may be.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^-?([0-9.]+(ns|us|µs|ms|s|m|h))+$`}
	case reflect.TypeFor[spec.Level]():
		return words(spec.Must, spec.Should, spec.Fact)
	case reflect.TypeFor[spec.Profile]():
		return words(spec.Profiles()...)
	case reflect.TypeFor[spec.Outcome]():
		return words(spec.Outcomes()...)
	case reflect.TypeFor[report.Purpose]():
		return words(report.Conformance, report.Measuring)
	case reflect.TypeFor[report.Result]():
		return words(report.AllMeasured, report.Conformant, report.ConformantKnown, report.SelectionPassed, report.SelectionKnown, report.NotConformant, report.Undetermined, report.LeakedOnly, report.NotExamined)
	case reflect.TypeFor[report.CheckState]():
		return words(report.CheckPassed, report.CheckFailed, report.CheckSkipped, report.CheckUnknown)
	case reflect.TypeFor[report.BaselineState]():
		return words(report.Held, report.Regressed, report.Improved, report.NotMeasured)
	}
	return nil
}

func words[T ~string](list ...T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, w := range list {
		s.Enum = append(s.Enum, string(w))
	}
	return s
}

func encode(t *testing.T, s *jsonschema.Schema) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
