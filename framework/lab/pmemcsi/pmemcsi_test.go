package pmemcsi

import (
	"slices"
	"strings"
	"testing"
)

func TestParseMode(t *testing.T) {
	for _, text := range []string{"", "lvm", "direct"} {
		if d, err := ParseMode(text); err != nil || d != Mode(text) {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"LVM", "ndctl", "fake"} {
		if _, err := ParseMode(text); err == nil || !strings.Contains(err.Error(), "LAB_DRIVER=\""+text+"\"") || !strings.Contains(err.Error(), "[lvm direct]") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFiles(t *testing.T) {
	for _, m := range Modes {
		if !slices.Contains(m.Files(), "pmem-csi-"+string(m)+".yaml") {
			t.Errorf("%s applies %q", m, m.Files())
		}
	}
}
