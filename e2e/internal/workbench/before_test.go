package workbench

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestStandIn runs commands that start memcached, up to that start.
func TestStandIn(t *testing.T) {
	wrapper, err := filepath.Abs("../../../manifests/components/wrapper/memcached-wrapper.sh")
	if err != nil {
		t.Fatal(err)
	}
	const size = 40 << 20
	for name, tt := range map[string]struct {
		command   []string
		size      int64 // of the file before
		want      int64
		allocated bool
	}{
		"wrapper with a sparse file":    {[]string{"sh", wrapper, "ephemeral"}, size, size, false},
		"wrapper that saves the state":  {[]string{"sh", wrapper, "persistent"}, size, size, false},
		"wrapper that allocates":        {[]string{"sh", "-c", `fallocate -l 41943040 "$MEMORY_FILE"; exec memcached -e "$MEMORY_FILE"`}, 0, size, true},
		"memcached that makes the file": {[]string{"memcached", "-e", "file"}, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "file")
			if tt.size > 0 {
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(file, tt.size); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", standIn, "sh", file, filepath.Join(dir, ".workbench")}, tt.command...)...)
			cmd.Env = append(os.Environ(), "MEMORY_FILE="+file)
			output, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			got, err := parseBlank(string(output))
			if err != nil || got.Size != tt.want || (got.Size > 0 && got.Allocated >= got.Size) != tt.allocated {
				t.Errorf("%+v, %v, want size %d, allocated %t\n%s", got, err, tt.want, tt.allocated, output)
			}
			if _, err := os.Stat(filepath.Join(dir, ".workbench")); !os.IsNotExist(err) {
				t.Errorf("the program in place of memcached is left: %v", err)
			}
		})
	}
}

func TestParseBlank(t *testing.T) {
	if _, err := parseBlank("memcached: not found\n"); err == nil {
		t.Error("nothing printed is no error")
	}
	if _, err := parseBlank(blank + "many\n"); err == nil {
		t.Error("no number is no error")
	}
}
