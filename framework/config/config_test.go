package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestLoadPrecedence(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want func(*Config) // changes to the defaults
	}{
		{name: "defaults", want: func(c *Config) { c.Cluster.Provider = Lab }},
		{
			name: "an empty variable counts as unset", env: map[string]string{"PROVIDER": "", "WAIT_SCALE": ""},
			want: func(c *Config) { c.Cluster.Provider = Lab },
		},
		{
			name: "environment", env: map[string]string{"LABELS": "MUST", "WAIT_SCALE": "2.5", "BENCH_DURATION": "1m", "SEED": "7"},
			want: func(c *Config) {
				c.Cluster.Provider, c.Select.Labels, c.WaitScale = Lab, "MUST", 2.5
				c.BenchDuration, c.Select.Seed = time.Minute, 7
			},
		},
		{
			name: "a flag beats the environment",
			env:  map[string]string{"LABELS": "MUST", "FOCUS": "EPH"}, args: []string{"-labels", "RST-01"},
			want: func(c *Config) { c.Cluster.Provider, c.Select.Labels, c.Select.Focus = Lab, "RST-01", "EPH" },
		},
		{
			name: "a kubeconfig chooses the existing cluster", env: map[string]string{"KUBECONFIG": "/some/config"},
			want: func(c *Config) { c.Cluster.Provider, c.Cluster.Kubeconfig = Existing, "/some/config" },
		},
		{
			name: "a provider that is named beats the kubeconfig",
			env:  map[string]string{"KUBECONFIG": "/some/config", "PROVIDER": "lab"},
			want: func(c *Config) { c.Cluster.Provider = Lab },
		},
		{
			name: "relative paths start at the directory",
			args: []string{"-ephemeral=mine", "-persistent=../theirs", "-report-dir", "out"},
			want: func(c *Config) {
				c.Cluster.Provider = Lab
				c.Deploy.Ephemeral = filepath.Join(dir, "mine")
				c.Deploy.Persistent = filepath.Join(filepath.Dir(dir), "theirs")
				c.ReportDir = filepath.Join(dir, "out")
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load(tt.args, env(tt.env), dir)
			if err != nil {
				t.Fatal(err)
			}
			want := Default(dir)
			tt.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Load() =\n%+v, want\n%+v", got, want)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want []string
	}{
		{"unknown provider", nil, map[string]string{"PROVIDER": "kind"}, []string{"PROVIDER", `"kind"`, "lab or existing"}},
		{"flag of an unknown provider", []string{"-provider=kind"}, nil, []string{"-provider", `"kind"`}},
		{"unknown flag", []string{"-provder=lab"}, nil, []string{"provder", "-help"}},
		{"argument", []string{"lab"}, nil, []string{`"lab"`}},
		{"scale is no number", nil, map[string]string{"WAIT_SCALE": "fast"}, []string{"WAIT_SCALE", `"fast"`, "0.1 to 100"}},
		{"scale is not finite", nil, map[string]string{"WAIT_SCALE": "NaN"}, []string{"WAIT_SCALE"}},
		{"scale is zero", nil, map[string]string{"WAIT_SCALE": "0"}, []string{"WAIT_SCALE"}},
		{"duration without unit", nil, map[string]string{"BENCH_DURATION": "5"}, []string{"BENCH_DURATION", `"5"`, "5s"}},
		{"malformed focus", nil, map[string]string{"FOCUS": "RST-(01"}, []string{"FOCUS", "RST-(01", "regular expression"}},
		{"negative seed", []string{"-seed=-1"}, nil, []string{"-seed", "positive"}},
		{"keep-lab", nil, map[string]string{"KEEP_LAB": "maybe"}, []string{"KEEP_LAB", `"maybe"`}},
		{"two at once", []string{"-seed=x"}, map[string]string{"PROVIDER": "kind"}, []string{"PROVIDER", "-seed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.args, env(tt.env), t.TempDir())
			if err == nil {
				t.Fatal("Load() accepted it")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
		})
	}
}

func TestLoadHelp(t *testing.T) {
	if _, err := Load([]string{"-help"}, env(nil), t.TempDir()); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("Load(-help) = %v, want flag.ErrHelp", err)
	}
	var text strings.Builder
	if err := Usage(&text); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"PROVIDER", "-kubeconfig", "REPORT_DIR", "-bench-duration"} {
		if !strings.Contains(text.String(), word) {
			t.Errorf("usage does not mention %s:\n%s", word, &text)
		}
	}
}

func TestValidate(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	valid := Default(base)
	valid.Cluster.Provider = Lab
	for _, dir := range []string{valid.Deploy.Ephemeral, valid.Deploy.Persistent} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"valid", func(*Config) {}, nil},
		{"existing cluster", func(c *Config) { c.Cluster.Provider, c.Cluster.Kubeconfig = Existing, file }, nil},
		{"existing without kubeconfig", func(c *Config) { c.Cluster.Provider = Existing }, []string{"KUBECONFIG"}},
		{
			"kubeconfig missing", func(c *Config) { c.Cluster.Provider, c.Cluster.Kubeconfig = Existing, base+"/none" },
			[]string{"KUBECONFIG", "/none", "no such file"},
		},
		{
			"kubeconfig is a directory", func(c *Config) { c.Cluster.Provider, c.Cluster.Kubeconfig = Existing, base },
			[]string{"KUBECONFIG", "not a regular file"},
		},
		{"no lab to keep", func(c *Config) {
			c.Cluster = Cluster{Provider: Existing, Kubeconfig: file, KeepLab: true}
		}, []string{"KEEP_LAB"}},
		{"context of the lab", func(c *Config) { c.Cluster.Context = "other" }, []string{"KUBE_CONTEXT", "other"}},
		{"image on the lab", func(c *Config) { c.Deploy.MemcachedImage = "memcached:1" }, []string{"MEMCACHED_IMAGE", "memcached:1"}},
		{"provider", func(c *Config) { c.Cluster.Provider = "kind" }, []string{"PROVIDER", "kind"}},
		{"ephemeral missing", func(c *Config) { c.Deploy.Ephemeral = base + "/none" }, []string{"EPHEMERAL", "/none"}},
		{"persistent is a file", func(c *Config) { c.Deploy.Persistent = file }, []string{"PERSISTENT", "not a directory"}},
		{"report below a file", func(c *Config) { c.ReportDir = file + "/report" }, []string{"REPORT_DIR", "not a directory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := valid
			tt.change(&c)
			err := c.Validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("Validate() = %v, want an error: %v", err, len(tt.want) > 0)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
		})
	}
	if _, err := os.Stat(valid.ReportDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Validate left %s behind", valid.ReportDir)
	}
}

func TestFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	want := Default("/somewhere")
	want.Cluster = Cluster{Provider: Existing, Kubeconfig: "/k", Context: "c"}
	want.Select.Seed = 3
	if err := want.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ReadFile() = %+v, want %+v", got, want)
	}
}

func TestReadFileRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown field", `{"WaitScal": 2}`, "WaitScal"},
		{"wrong type", `{"WaitScale": "2"}`, "WaitScale"},
		{"two values", `{} {}`, "more than one"},
		{"empty", ``, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ReadFile(%s) = %v, want an error with %q", tt.text, err, tt.want)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	lab, existing := Default("/src"), Default("/src")
	lab.Cluster = Cluster{Provider: Lab, Kubeconfig: "/tmp/lab"}
	lab.Deploy.MemcachedImage = "the lab's own"
	existing.Cluster = Cluster{Provider: Existing, Kubeconfig: "/home/me/my config"}
	existing.Deploy.Persistent = "/src/mine"
	existing.WaitScale = 2.5
	for want, c := range map[string]Config{
		"make e2e FOCUS=RST-01": lab,
		"make e2e FOCUS=RST-01 KUBECONFIG='/home/me/my config' PERSISTENT=mine WAIT_SCALE=2.5": existing,
	} {
		if got := c.Command("RST-01"); got != want {
			t.Errorf("Command() = %s, want %s", got, want)
		}
	}
}
