// Package e2e holds the specs. See README.md on how they are written and run.
package e2e

import (
	"flag"
	"testing"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

var (
	configFile = flag.String("config", "", "configuration written by the runner (hack/e2e)")
	listFile   = flag.String("list", "", "file that gets the list of the specs")
)

// TestE2E runs the specs on a cluster. The runner judges by the report alone,
// so a skip here never counts as a run.
func TestE2E(t *testing.T) {
	if *listFile != "" {
		framework.List(t, *listFile)
		return
	}
	if *configFile == "" {
		t.Skip("no cluster: run the specs with make e2e")
	}
	framework.Run(t, *configFile)
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
