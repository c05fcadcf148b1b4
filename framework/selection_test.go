package framework

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

var some = []spec.Spec{
	{ID: "BEN-01", Title: "the throughput", Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Ephemeral, Tags: []string{spec.BenchmarkTag}},
	{ID: "EPH-01", Title: "the pod is ready", Covers: []spec.ReqID{"EPH-01", "EPH-02"}, Level: spec.Must, Profile: spec.Ephemeral},
	{ID: "OPS-09E", Title: "a drain", Covers: []spec.ReqID{"OPS-09"}, Level: spec.Must, Profile: spec.Ephemeral},
	{ID: "RST-01", Title: "items survive", Covers: []spec.ReqID{"RST-01", "RST-02"}, Level: spec.Must, Profile: spec.Persistent},
	{ID: "RST-10", Title: "after RST-77, an id of text", Covers: []spec.ReqID{"RST-10", "RST-02"}, Level: spec.Should, Profile: spec.Persistent},
}

func TestSelected(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"conformance", func(*config.Config) {}, "EPH-01 OPS-09E RST-01 RST-10"},
		{"benchmarks", func(c *config.Config) { c.Bench = true }, "BEN-01"},
		{"qualification", func(c *config.Config) { c.Qualification = true }, "EPH-01 OPS-09E RST-01 RST-10"},
		{"qualification with a baseline", func(c *config.Config) { c.Qualification, c.Baseline = true, "x" }, "BEN-01 EPH-01 OPS-09E RST-01 RST-10"},
		{"label", func(c *config.Config) { c.Select.Labels = "persistent && !should" }, "RST-01"},
		{"label of the other kind", func(c *config.Config) { c.Select.Labels = "benchmark || rst-02" }, "RST-01 RST-10"},
		{"expression on labels", func(c *config.Config) { c.Select.Labels = "/^RST-0/ && (MUST)" }, "RST-01"},
		{"set of labels", func(c *config.Config) { c.Select.Labels = "key: isEmpty && persistent" }, "RST-01 RST-10"},
		{"focus", func(c *config.Config) { c.Select.Focus = "RST-01" }, "RST-01"},
		{"focus in another case", func(c *config.Config) { c.Select.Focus = "rst-01|Eph-01" }, "EPH-01 RST-01"},
		{"focus with an anchor", func(c *config.Config) { c.Select.Focus = "^RST-01" }, "RST-01"},
		{"focus on a whole id", func(c *config.Config) { c.Select.Focus = "^rst-01$|^OPS-09$" }, "RST-01"},
		{"focus up to the end", func(c *config.Config) { c.Select.Focus = "ready$" }, "EPH-01"},
		{"focus on a part of an id", func(c *config.Config) { c.Select.Focus = "OPS-09" }, "OPS-09E"},
		{"focus on an expression", func(c *config.Config) { c.Select.Focus = "^RST-[01]0" }, "RST-10"},
		{"focus on an id in a title", func(c *config.Config) { c.Select.Focus = "RST-77" }, "RST-10"},
		{"focus on the title of the suite", func(c *config.Config) { c.Select.Focus = "memcached" }, ""},
		{"both", func(c *config.Config) { c.Select.Focus, c.Select.Labels = "RST", "MUST" }, "RST-01"},
	} {
		c := config.Default("/src")
		tt.change(&c)
		got, err := selected(c, some)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: selected are %v (%v), want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestSelectedRefuses(t *testing.T) {
	for _, tt := range []struct{ labels, focus, want string }{
		{"(MUST", "", `LABELS="(MUST": not a Ginkgo label filter; write one such as 'ephemeral && MUST'`},
		{"MUSTT", "", `LABELS="MUSTT": there is no label MUSTT; did you mean MUST?`},
		{"MUST && !(persistant || RST-01)", "", `LABELS="MUST && !(persistant || RST-01)": there is no label persistant; did you mean persistent?`},
		{"", "RST-99", `FOCUS="RST-99": there is no spec RST-99; did you mean RST-01?`},
		{"", "rst-01|esp-01", `FOCUS="rst-01|esp-01": there is no spec ESP-01; did you mean EPH-01?`},
		{"", "^RST-02$", `FOCUS="^RST-02$": RST-02 is a requirement and not a spec; give LABELS=RST-02 for what covers it: RST-01, RST-10`},
	} {
		c := config.Default("/src")
		c.Select = config.Select{Labels: tt.labels, Focus: tt.focus}
		_, err := selected(c, some)
		if _, ok := errors.AsType[*config.FieldError](err); !ok || err.Error() != tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

// Ginkgo finds exactly the specs that are selected.
func TestFocusOn(t *testing.T) {
	focus := regexp.MustCompile(focusOn([]string{"EPH-01", "RST-10"})[0])
	for _, s := range some {
		want := s.ID == "EPH-01" || s.ID == "RST-10"
		if got := focus.MatchString(title + " " + s.ID + " " + s.Title); got != want {
			t.Errorf("%s: %t, want %t", s.ID, got, want)
		}
	}
	if focus.MatchString(title + " EPH-02 as EPH-01 does") {
		t.Error("an id in a title is found")
	}
}
func TestAgain(t *testing.T) {
	specs := []spec.Spec{
		{ID: "PRO-01", Title: "it answers"}, {ID: "PRO-01P", Title: "it answers"}, {ID: "RST-01", Title: "it restarts"},
		{ID: "RST-02", Title: "it restarts"}, {ID: "RST-03", Title: "as rst-02 does"},
	}
	for id, want := range map[string]string{"PRO-01": "^PRO-01$", "PRO-01P": "PRO-01P", "RST-01": "RST-01", "RST-02": "^RST-02$"} {
		focus := focusOf(id, specs)
		if focus != want {
			t.Errorf("%s is selected by %s, want %s", id, focus, want)
		}
		parsed, err := parseFocus(focus, specs)
		if err != nil {
			t.Fatal(err)
		}
		if ids := focused(parsed, specs); len(ids) != 1 || ids[0] != id {
			t.Errorf("FOCUS=%s selects %q, want %s only", focus, ids, id)
		}
	}
}
