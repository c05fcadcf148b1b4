package framework

import (
	"testing"

	"pmem-memcached-e2e/framework/config"
)

func TestLabelFilter(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"conformance", func(*config.Config) {}, "!benchmark"},
		{"conformance with a filter", func(c *config.Config) { c.Select.Labels = "a || b" }, "!benchmark && (a || b)"},
		{"benchmark", func(c *config.Config) { c.Bench = true }, "benchmark"},
		{"qualification", func(c *config.Config) { c.Qualification = true }, "!benchmark"},
		{"qualification with a baseline", func(c *config.Config) { c.Qualification, c.Baseline = true, "x" }, ""},
	} {
		c := config.Default("/src")
		tt.change(&c)
		if got := labelFilter(c); got != tt.want {
			t.Errorf("%s: the filter is %q, want %q", tt.name, got, tt.want)
		}
	}
}
