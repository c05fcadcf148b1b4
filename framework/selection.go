package framework

import (
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

// GinkgoConfig returns Ginkgo's configuration for a run with c that takes at
// most limit; 0: Ginkgo's default.
func GinkgoConfig(c config.Config, limit time.Duration) (types.SuiteConfig, types.ReporterConfig) {
	suiteConfig, reporterConfig := types.NewDefaultSuiteConfig(), types.NewDefaultReporterConfig()
	suiteConfig.LabelFilter = labelFilter(c)
	if c.Select.Focus != "" {
		suiteConfig.FocusStrings = []string{c.Select.Focus}
	}
	if c.Select.Seed != 0 {
		suiteConfig.RandomSeed = c.Select.Seed
	}
	if limit != 0 {
		suiteConfig.Timeout = limit
	}
	if c.Retries > 0 {
		suiteConfig.FlakeAttempts = c.Retries + 1
	}
	suiteConfig.FailOnEmpty = true
	reporterConfig.Verbose, reporterConfig.SilenceSkips, reporterConfig.NoColor = true, true, true
	return suiteConfig, reporterConfig
}

// labelFilter combines the kind of the run with the user's filter.
func labelFilter(c config.Config) string {
	var parts []string
	switch {
	case !c.Examines():
		parts = append(parts, spec.BenchmarkTag)
	case !c.Measures():
		parts = append(parts, "!"+spec.BenchmarkTag)
	}
	if c.Select.Labels != "" {
		parts = append(parts, "("+c.Select.Labels+")")
	}
	return strings.Join(parts, " && ")
}
