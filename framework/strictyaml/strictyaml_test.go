package strictyaml_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/strictyaml"
)

// TestTextComesBackAsItWas goes through what YAML gives a meaning to.
func TestTextComesBackAsItWas(t *testing.T) {
	texts := []string{
		"", " ", "\n", "\n\n", "\r", "\t", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\ufeffx", "é", "日本語", "~", "null", "Null", "true", "No", "y", "N", "off",
		"1", "-1", "+1", "012", "0o7", "0x1F", "0b1", "1e5", "80e5", "1_000", "1.", ".5", ".inf", "-.inf", ".nan", "1:30", "2026-01-02", "2026-01-02T03:04:05Z",
		"- a", "-", "? a", "?", "a:", "a: b", ": ", "a #b", "#x", "|", "|-", ">", "'", "\"", "%", "@", "`", "{}", "[]", "{a: b}", "[a]", "!!str x", "!x", "&a", "*a", "<<", "=", "---", "...",
		" lead", "trail ", "multi\n", "a\n b\n\n", "  x\ny", "\n\nx", "x\n---\ny", "a: b\nc: d", "\tx\ny", "x\n\ty", "x \ny", "a\r\nb", "a\rb", "x\n ", "a\\nb", `C:\x`, `\`, "a\tb", "a,b", "a/",
	}
	alphabet := strings.Split("a b 1 - : # \" ' \\ | { } [ ] , & * ! % ? > ~ é \x00 \n \r \t", " ")
	alphabet = append(alphabet, " ")
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var b strings.Builder
		for range 1 + random.IntN(8) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		texts = append(texts, b.String())
	}
	type document struct {
		Text string   `yaml:"text"`
		List []string `yaml:"list"`
		End  string   `yaml:"end"`
	}
	for _, text := range texts {
		f, err := strictyaml.Parse("x.yaml", 0, fmt.Appendf(nil, "text: %s\nlist:\n- %[1]s\nend: end\n", strictyaml.Text(text)))
		var got document
		if err == nil {
			err = f.Decode(&got)
		}
		if want := (document{text, []string{text}, "end"}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q came back as %q, %v", text, got, err)
		}
	}
}

// TestRefuses checks the messages as a whole.
func TestRefuses(t *testing.T) {
	type entry struct {
		Name  string         `yaml:"name"`
		Count int            `yaml:"count"`
		Limit time.Duration  `yaml:"limit,omitempty"`
		Day   time.Time      `yaml:"day,omitempty"`
		By    map[string]int `yaml:"by,omitempty"`
	}
	var got strings.Builder
	for _, text := range []string{
		"- name: a\n", "- {name: a, count: 1, cuont: 2}\n", "- {name: 1, count: a}\n", "- {name: a, count: 1, limit: 5, day: noon, by: [1]}\n",
		"- {name: a, count: 1}\n- {name: b, count: 2, count: 3}\n", "- {name: a, count: 1, by: {x: y}}\n", "name: a\n", "- [\n", "[]\n---\n[]\n",
	} {
		err := strictyaml.ReadList("x.yaml", []byte(text), func(entry, map[string]int, int) []error { return nil })
		if err == nil {
			t.Errorf("%q is accepted", text)
		}
		fmt.Fprintf(&got, "%s%v\n\n", text, err)
	}
	golden.Check(t, "errors.txt", got.String())
}
