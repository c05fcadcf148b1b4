package nearest

import "testing"

func TestTo(t *testing.T) {
	words := []string{"RST-01", "RST-10", "EPH-01", "report", "focus"}
	for given, want := range map[string]string{
		"rst-01": "RST-01", "RST-1": "RST-01", "RTS-10": "RST-10", "EPH-99": "EPH-01", "fokus": "focus", "Repotr": "report",
	} {
		if got := To(given, words); got != want {
			t.Errorf("To(%q) = %q, want %q", given, got, want)
		}
	}
	if got := To("x", nil); got != "" {
		t.Errorf("To(x) of no words = %q", got)
	}
}
