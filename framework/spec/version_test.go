package spec

import "testing"

func TestHoldsFor(t *testing.T) {
	for _, tt := range []struct {
		versions, version string
		want, known       bool
	}{
		{">= 1.6.9", "1.6.9", true, true},
		{">= 1.6.9", "1.6.10", true, true},
		{">= 1.6.9", "1.6.38-rc1", true, true},
		{">= 1.6.9", "1.6.8", false, true},
		{">= 1.6.9", "1.5.22", false, true},
		{">= 1.6.9", "2.0.0", true, true},
		{"< 1.6.25", "1.6.24", true, true},
		{"< 1.6.25", "1.6.25", false, true},
		{">= 1.6.9", "", false, false},
		{">= 1.6.9", "unknown", false, false},
		{"", "unknown", true, true},
	} {
		got, err := Requirement{ID: "RST-66", Versions: tt.versions}.HoldsFor(tt.version)
		if got != tt.want || (err == nil) != tt.known {
			t.Errorf("%q for %q: %t, %v; want %t, known %t", tt.versions, tt.version, got, err, tt.want, tt.known)
		}
	}
}
