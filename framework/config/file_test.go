package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/wait"
)

func writeFile(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile(t *testing.T) {
	tests := []struct {
		name, text string
		args       []string
		env        map[string]string
		want       func(c *Config, dir string) // changes to the defaults
	}{
		{name: "settings", text: "# slow\nwait-scale: 2,deployment-ready=3\nlabels: 'ephemeral && MUST'\nretries: 1\nqualification: true\nexclusive: 0\n",
			want: func(c *Config, _ string) {
				c.WaitScale = wait.Scale{All: 2, ByName: map[wait.Name]float64{wait.DeploymentReady: 3}}
				c.Select.Labels, c.Retries, c.Qualification, c.Exclusive = "ephemeral && MUST", 1, true, new(bool)
			}},
		{name: "one setting", text: "focus: RST-01", want: func(c *Config, _ string) { c.Select.Focus = "RST-01" }},
		{name: "a document with marks", text: "---\nfocus: RST-01\n...\n", want: func(c *Config, _ string) { c.Select.Focus = "RST-01" }},
		{name: "words are taken as written", text: "context: 1.10\nseed: 010\nlabels: |-\n  MUST\n",
			want: func(c *Config, _ string) {
				c.Cluster.Context, c.Select.Seed, c.Select.Labels = "1.10", 10, "MUST"
			}},
		{name: "paths start at the file's directory", text: "report-dir: out\nephemeral: ../mine\nkubeconfig: admin.conf\nknown-failures: known.yaml\npersistent: /srv/theirs\n",
			want: func(c *Config, dir string) {
				c.ReportDir, c.Deploy.Ephemeral, c.Deploy.Persistent = filepath.Join(dir, "out"), filepath.Join(filepath.Dir(dir), "mine"), "/srv/theirs"
				c.Cluster.Provider, c.Cluster.Kubeconfig, c.KnownFailures = Existing, filepath.Join(dir, "admin.conf"), filepath.Join(dir, "known.yaml")
			}},
		{name: "home", text: "ephemeral: ~/mine\nkubeconfig: ~/.kube/config:b:~\nreport-dir: '~'\n", env: map[string]string{"HOME": "/home/me"},
			want: func(c *Config, dir string) {
				c.Deploy.Ephemeral, c.ReportDir = "/home/me/mine", "/home/me"
				c.Cluster.Provider, c.Cluster.Kubeconfig = Existing, "/home/me/.kube/config:"+dir+"/b:/home/me"
			}},
		{name: "the lab", text: "lab-nodes: 1\nlab-pmem: 4096\ncache-dir: cache\n", want: func(c *Config, dir string) {
			c.Lab = LabSettings{Nodes: 1, PMEM: 4096, CacheDir: filepath.Join(dir, "cache")}
		}},
		{name: "a variable wins", text: "wait-scale: 2\nretries: 1\n", env: map[string]string{"WAIT_SCALE": "3"},
			want: func(c *Config, _ string) { c.WaitScale.All, c.Retries = 3, 1 }},
		{name: "a flag wins", text: "wait-scale: 2\n", env: map[string]string{"WAIT_SCALE": "3"}, args: []string{"--wait-scale=4"},
			want: func(c *Config, _ string) { c.WaitScale.All = 4 }},
		{name: "an empty flag takes back", text: "known-failures: known.yaml\nskip-preflight: api, images\n", args: []string{"--known-failures="},
			want: func(c *Config, _ string) { c.SkipPreflight = []string{"api", "images"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, tt.text)
			got, err := load(append([]string{"--config-file", path}, tt.args...), env(tt.env), "/src")
			if err != nil {
				t.Fatal(err)
			}
			want := Default("/src")
			want.Cluster.Provider = Lab
			tt.want(&want, filepath.Dir(path))
			got.Cluster.Why = ""
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Load() =\n%+v, want\n%+v", got, want)
			}
		})
	}
}

func TestFileIsNamedByVariableOrFlag(t *testing.T) {
	one, two := writeFile(t, "retries: 1"), writeFile(t, "retries: 2")
	tests := []struct {
		name string
		args []string
		env  string
		want int
	}{
		{"variable", nil, one, 1},
		{"flag wins", []string{"--config-file=" + two}, one, 2},
		{"the last flag wins", []string{"--config-file", one, "--config-file", two}, "", 2},
		{"an empty flag takes back", []string{"--config-file="}, one, 0},
		{"below the home directory", nil, "~/" + filepath.Base(one), 1},
		{"the value of another flag", []string{"--labels", "--config-file"}, one, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(tt.args, env(map[string]string{"CONFIG": tt.env, "HOME": filepath.Dir(one)}), "/src")
			if err != nil || c.Retries != tt.want {
				t.Errorf("Load() has retries %d and error %v, want %d", c.Retries, err, tt.want)
			}
		})
	}
	t.Run("relative", func(t *testing.T) {
		c, err := load([]string{"--config-file=run.yaml"}, env(nil), filepath.Dir(two))
		if err != nil || c.Retries != 2 {
			t.Errorf("Load() has retries %d and error %v, want 2", c.Retries, err)
		}
	})
}

// The texts are what a user sees; FILE is the path of the file.
func TestFileRefuses(t *testing.T) {
	const example = "write lines such as 'wait-scale: 2'"
	tests := []struct{ name, text, want string }{
		{"unknown key", "wait-scale: 2\nfokus: RST-01\n", `FILE:2: fokus: "RST-01": there is no such setting; did you mean focus?`},
		{"the name of a variable", "WAIT_SCALE: 2\n", `FILE:1: WAIT_SCALE: "2": there is no such setting; did you mean wait-scale?`},
		{"the file itself", "config-file: other.yaml\n", `FILE:1: config-file: "other.yaml": there is no such setting; did you mean context?`},
		{"bad value", "# slow\nwait-scale: fast\n", `FILE:2: wait-scale: "fast": "fast" is no factor; give a number from 0.1 to 100`},
		{"two reasons", "wait-scale: fast,slow=9x\n", `FILE:1: wait-scale: "fast,slow=9x": "fast" is no factor; give a number from 0.1 to 100 | "9x" is no factor; give a number from 0.1 to 100`},
		{"not finite", "wait-scale: .nan\n", `FILE:1: wait-scale: ".nan": ".nan" is no factor; give a number from 0.1 to 100`},
		{"no truth value", "qualification: maybe\n", `FILE:1: qualification: "maybe": give 1 or 0`},
		{"no exclusive", "exclusive: yes\n", `FILE:1: exclusive: "yes": give 1 or 0`},
		{"too many retries", "retries: 6\n", `FILE:1: retries: "6": give a whole number from 0 to 5`},
		{"half a retry", "retries: 1.5\n", `FILE:1: retries: "1.5": give a whole number from 0 to 5`},
		{"no directory", "report-dir: ''\n", `FILE:1: report-dir: "": give a directory`},
		{"a list", "labels: [a, b]\n", `FILE:1: labels: "[a, b]": give one value, such as 'wait-scale: 2'`},
		{"a mapping", "labels:\n  a: b\n", `FILE:1: labels: "a: b": give one value, such as 'wait-scale: 2'`},
		{"no value", "labels:\n", `FILE:1: labels: "": give one value, such as 'wait-scale: 2'`},
		{"a reference", "labels: &a MUST\nfocus: *a\n", "FILE:1: labels: \"&a MUST\": give one value, such as 'wait-scale: 2'\nFILE:2: focus: \"*a\": give one value, such as 'wait-scale: 2'"},
		{"twice", "retries: 1\nseed: 1\nretries: 1\n", `FILE:3: retries: "1": line 1 has this setting already; remove one`},
		{
			"all at once", "wait-scale: fast\nretries: 9\nfocus: (\nretries: 1\n",
			`FILE:1: wait-scale: "fast": "fast" is no factor; give a number from 0.1 to 100` + "\n" +
				`FILE:2: retries: "9": give a whole number from 0 to 5` + "\n" +
				"FILE:3: focus: \"(\": error parsing regexp: missing closing ): `(`; give a regular expression, such as RST-01\n" +
				`FILE:4: retries: "1": line 2 has this setting already; remove one`,
		},
		{"a list in place of settings", "- retries\n", `FILE:1: "- retries": no settings; ` + example},
		{"a word in place of settings", "\nretries\n", `FILE:2: "retries": no settings; ` + example},
		{"two documents", "retries: 1\n---\nretries: 2\n", `FILE:3: "retries: 2": a second document; give one in a file`},
		{"empty", "", `FILE:1: there are no settings; ` + example},
		{"comments alone", "# retries: 1\n", `FILE:1: there are no settings; ` + example},
		{"no YAML", "retries: 1\nfocus: [\n", `FILE:2: "focus: [": not YAML: sequence end token ']' not found`},
		{"a tab", "retries: 1\n\tfocus: RST\n", "FILE:2: \"focus: RST\": not YAML: found character '\t' that cannot start any token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, tt.text)
			_, err := load([]string{"--config-file", path}, env(nil), "/src")
			if err == nil {
				t.Fatal("Load() accepted it")
			}
			if got := strings.ReplaceAll(err.Error(), path, "FILE"); got != tt.want {
				t.Errorf("error\n%s\nwant\n%s", got, tt.want)
			}
			if _, ok := errors.AsType[*FileError](err); !ok {
				t.Errorf("error %v holds no FileError", err)
			}
		})
	}
}

func TestFileIsNotReadable(t *testing.T) {
	dir := t.TempDir()
	for want, args := range map[string][]string{
		`CONFIG="` + dir + `/none.yaml": no such file or directory; give the path of one readable file`: nil,
		`--config-file="` + dir + `": is a directory; give the path of one readable file`:               {"--config-file", dir},
	} {
		_, err := load(args, env(map[string]string{"CONFIG": "none.yaml"}), dir)
		if err == nil || err.Error() != want {
			t.Errorf("Load() = %v, want %s", err, want)
		}
	}
}

func TestFileVariablesAndFlagsAreRefusedAtOnce(t *testing.T) {
	path := writeFile(t, "retries: many\n")
	_, err := load([]string{"--seed=0", "--config-file", path}, env(map[string]string{"RETRIES": "-1", "EXCLUSIVE": "no"}), "/src")
	want := `FILE:1: retries: "many": give a whole number from 0 to 5
RETRIES="-1": give a whole number from 0 to 5
EXCLUSIVE="no": give 1 or 0
--seed="0": give a positive whole number`
	if err == nil || strings.ReplaceAll(err.Error(), path, "FILE") != want {
		t.Errorf("Load() =\n%v\nwant\n%s", err, want)
	}
}

// make and a shell hand each value on as it is.
func TestCommandThroughMake(t *testing.T) {
	dir := t.TempDir()
	makefile := "e2e:\n\t@printf '%s|%s|%s' \"$$LABELS\" \"$$FOCUS\" \"$$KUBECONFIG\"\n"
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{
		"RST-01", "^RST-0[12] .*$", "it's (a|b)", `a\b \`, "$HOME $(HOME) $$", "x # y", "a && !b", "~", "*", "%", "a=b:c", "`id`", `"`, "ä…",
	} {
		c := Default(dir)
		c.Cluster = Cluster{Provider: Existing, Kubeconfig: filepath.Join("/srv", value)}
		c.Select.Labels, c.Select.Focus = value, value
		cmd := exec.Command("sh", "-c", c.Command(""))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "MFLAGS=") // as if no make had run this test
		out, err := cmd.CombinedOutput()
		if want := strings.Join([]string{value, value, c.Cluster.Kubeconfig}, "|"); err != nil || string(out) != want {
			t.Errorf("%s printed %q (%v), want %q", c.Command(""), out, err, want)
		}
	}
}
