package main

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
)

func TestCheckLoadClients(t *testing.T) {
	tests := []struct {
		name, provider, file string
		missing              bool
	}{
		{"lab without any", config.Lab, "", true},
		{"lab with another architecture", config.Lab, "e2e-load-other", true},
		{"lab", config.Lab, "e2e-load-" + runtime.GOARCH, false},
		{"existing without any", config.Existing, "", true},
		{"existing with another architecture", config.Existing, "e2e-load-other", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := home{program: t.TempDir()}
			if test.file != "" {
				if err := os.WriteFile(h.program+"/"+test.file, nil, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			err := h.checkLoadClients(test.provider)
			switch {
			case (err != nil) != test.missing:
				t.Errorf("got %v, want an error: %t", err, test.missing)
			case err != nil && !strings.Contains(err.Error(), h.loadClient()):
				t.Errorf("%q does not name %s", err, h.loadClient())
			}
		})
	}
}
