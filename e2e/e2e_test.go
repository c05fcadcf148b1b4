package e2e

import (
	"flag"
	"testing"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

var configFile = flag.String("config", "", "configuration of a run, as e2e run writes it for the process with the specs")

// TestE2E runs the specs on a cluster. The runner judges by the report alone,
// so a skip here never counts as a run.
func TestE2E(t *testing.T) {
	if *configFile == "" {
		t.Skip("no cluster: run the specs with make e2e")
	}
	c, err := config.ReadFile(*configFile)
	if err != nil {
		t.Fatal(err)
	}
	suiteConfig, reporterConfig := ginkgo.GinkgoConfiguration()
	if err := framework.RunAs(c, nil, suiteConfig, reporterConfig); err != nil {
		t.Error(err)
	}
}

// TestTree builds the tree of specs without running any.
func TestTree(t *testing.T) {
	if err := spec.ValidateAll(framework.Specs()); err != nil {
		t.Error(err)
	}
	preview := ginkgo.PreviewSpecs("memcached on persistent memory")
	if want := len(framework.Specs()); want == 0 || len(preview.SpecReports) != want {
		t.Errorf("the tree has %d specs, registered are %d", len(preview.SpecReports), want)
	}
}
