package report

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// fill gives every field of v a value of its own.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("\ttext \"quoted\": #%d\r\n  second line ", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * 1_000_001)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, name := range []string{"first key", "second"} {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.SetString(name)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, *n*1000, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("yaml") != "-" {
				fill(v.Field(i), n)
			}
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

func filled() Document {
	var d Document
	n := 0
	fill(reflect.ValueOf(&d).Elem(), &n)
	d.Schema = Schema
	return d
}

func TestRoundTrip(t *testing.T) {
	empty := Document{Schema: Schema}
	for name, d := range map[string]Document{"every field": filled(), "a run": eventfulDocument(), "nothing": NewRecorder(Run{Started: start, Deployments: map[string]string{}}, spec.Catalogue{}).Finish(start, nil)} {
		data, err := Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode("report.yaml", data)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if !reflect.DeepEqual(d, back) {
			again, _ := Encode(back)
			t.Errorf("%s: wrote\n%s\nread\n%s", name, data, again)
		}
	}
	data, err := Encode(empty)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode("report.yaml", data); err != nil {
		t.Errorf("empty: %v\n%s", err, data)
	}
}

func TestBytesThatAreNoText(t *testing.T) {
	data, err := Encode(Document{Schema: Schema, Errors: []string{"a\xffb"}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode("report.yaml", data)
	if err != nil || back.Errors[0] != "a\uFFFDb" {
		t.Errorf("%q, %v", back.Errors, err)
	}
}

func TestEncodedDocument(t *testing.T) {
	data, err := Encode(eventfulDocument())
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "report.yaml", data)
}

// TestDecodeRefuses checks the messages as a whole.
func TestDecodeRefuses(t *testing.T) {
	data, err := Encode(eventfulDocument())
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("the report has no %q", old)
		}
		return strings.Replace(string(data), old, new, 1)
	}
	tests := []struct{ name, text string }{
		{"an empty file", ""},
		{"one line", strings.SplitN(string(data), "\n", 2)[0]},
		{"no digest", strings.SplitN(string(data), "\n", 2)[1]},
		{"a digest of another kind", replace("sha256:", "md5:")},
		{"a digest that is too long", replace("digest: sha256:", "digest: sha256:0")},
		{"nothing below the digest", strings.SplitN(string(data), "\n", 2)[0] + "\n"},
		{"another schema", replace(Schema, "pmem-memcached-e2e/report/v2")},
		{"no schema", replace("schema: "+strictyaml.Text(Schema)+"\n", "")},
		{"a schema that is a list", replace("schema: "+strictyaml.Text(Schema), "schema: [1]")},
		{"a list", strings.SplitN(string(data), "\n", 2)[0] + "\n- schema: " + Schema + "\n"},
		{"no YAML", replace("run:", "run: {")},
		{"an unknown key", replace("  interrupted:", "  colour: red\n  interrupted:")},
		{"an unknown key at the top", replace("trouble:", "colour: red\ntrouble:")},
		{"a key twice", replace("  interrupted: false", "  interrupted: false\n  interrupted: true")},
		{"a key is missing", replace("  interrupted: false\n", "")},
		{"a key in a list is missing", replace("  evidence: GET /version\n", "")},
		{"a list is missing", replace("trouble:", "leak:")},
		{"text in place of a number", replace("  seed: 7", "  seed: seven")},
		{"text in place of a flag", replace("  interrupted: false", "  interrupted: maybe")},
		{"text in place of a list", replace("\nleaks:\n", "\nleaks: none\nx:\n")},
		{"a number in place of text", replace("  provider: existing", "  provider: 5")},
		{"nothing in place of text", replace("  provider: existing", "  provider:")},
		{"a number in place of a duration", replace("took: 1.5s", "took: 1.5")},
		{"no duration", replace("took: 1.5s", "took: long")},
		{"no time", replace("started: 2026-01-02T03:04:05Z", "started: yesterday")},
		{"a fraction in place of a whole number", replace("exitCode: 1", "exitCode: 1.5")},
		{"too large a number", replace("exitCode: 1", "exitCode: 99999999999999999999")},
		{"a list in place of a mapping", replace("  deployments:\n", "  deployments: [a]\n  x:\n")},
		{"text in a mapping of numbers", replace("      passed: 1", "      passed: one")},
		{"a key that is a number", replace("  provider: existing", "  5: five\n  provider: existing")},
		{"lines in place of a number", replace("  seed: 7", "  seed: |\n    7\n    8")},
		{"a mapping in place of a time", replace("started: 2026-01-02T03:04:05Z", "started: {}")},
		{"an alias", replace("  provider: existing", "  provider: &a existing")},
		{"a second document", string(data) + "---\nschema: x\n"},
		{"several defects", replace("  seed: 7\n", "  colour: red\n")},
	}
	var got strings.Builder
	for _, tt := range tests {
		_, err := Decode("report.yaml", []byte(tt.text))
		if err == nil {
			t.Errorf("%s: Decode() accepts it", tt.name)
		}
		fmt.Fprintf(&got, "# %s\n%v\n\n", tt.name, err)
	}
	golden.Check(t, "decode-errors.txt", []byte(got.String()))
}
