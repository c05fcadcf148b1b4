package facts

import (
	"testing"

	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/report"
)

// TestValues compares what is written with what package report reads.
func TestValues(t *testing.T) {
	for written, read := range map[string]string{
		string(pmem.Emulated): report.FactYes, string(pmem.Genuine): report.FactNo, pmem.TCG: report.FactTCG,
	} {
		if written != read {
			t.Errorf("%q is written, %q is read", written, read)
		}
	}
}
