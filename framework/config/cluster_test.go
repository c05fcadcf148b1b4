package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCluster(t *testing.T) {
	file := writeFile(t, "kubeconfig: /file")
	both := writeFile(t, "kubeconfig: /file\nprovider: existing")
	const ignored = "; the exported KUBECONFIG=/env is not used; give it on the command line, or PROVIDER=existing, to use it"
	for _, tt := range []struct {
		name       string
		args       []string
		env        map[string]string
		kubeconfig string
		where      string
	}{
		{"nothing", nil, nil, "", `lab "default" on this machine: KUBECONFIG is not given on the command line`},
		{"exported", nil, map[string]string{"KUBECONFIG": "/env", "LAB_NAME": "mine"}, "", `lab "mine" on this machine: KUBECONFIG is not given on the command line` + ignored},
		{"exported with PROVIDER=lab", nil, map[string]string{"KUBECONFIG": "/env", "PROVIDER": "lab"}, "", `lab "default" on this machine: PROVIDER=lab is given in the environment` + ignored},
		{"exported with PROVIDER=existing", nil, map[string]string{"KUBECONFIG": "/env", "PROVIDER": "existing", "KUBE_CONTEXT": "two"}, "/env", "kubeconfig /env, context two: PROVIDER=existing is given in the environment, and KUBECONFIG in the environment"},
		{"several", nil, map[string]string{"KUBECONFIG": "/env:two::~/three", "PROVIDER": "existing", "HOME": "/home/me"}, "/env:/src/two:/home/me/three", "kubeconfig /env:/src/two:/home/me/three: PROVIDER=existing is given in the environment, and KUBECONFIG in the environment"},
		{"flag", []string{"--kubeconfig=/flag"}, nil, "/flag", "kubeconfig /flag: KUBECONFIG is given on the command line"},
		{"flag wins", []string{"--kubeconfig=/flag", "--config-file=" + file}, map[string]string{"KUBECONFIG": "/env"}, "/flag", "kubeconfig /flag: KUBECONFIG is given on the command line"},
		{"empty flag", []string{"--kubeconfig="}, map[string]string{"KUBECONFIG": "/env"}, "", `lab "default" on this machine: KUBECONFIG is not given on the command line` + ignored},
		{"flag and the lab", []string{"--kubeconfig=/flag", "--provider=lab"}, nil, "", `lab "default" on this machine: PROVIDER=lab is given on the command line; KUBECONFIG=/flag is not used`},
		{"file", []string{"--config-file=" + file}, nil, "/file", "kubeconfig /file: KUBECONFIG is given in the CONFIG file"},
		{"file and exported", []string{"--config-file=" + file}, map[string]string{"KUBECONFIG": "/env"}, "/file", "kubeconfig /file: KUBECONFIG is given in the CONFIG file; the exported KUBECONFIG is not used"},
		{"file with provider", []string{"--config-file=" + both}, map[string]string{"KUBECONFIG": "/env"}, "/file", "kubeconfig /file: PROVIDER=existing is given in the CONFIG file; the exported KUBECONFIG is not used"},
		{"neither", []string{"--provider=existing"}, nil, "", "kubeconfig : PROVIDER=existing is given on the command line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(tt.args, env(tt.env), "/src")
			if err != nil {
				t.Fatal(err)
			}
			if c.Cluster.Kubeconfig != tt.kubeconfig || c.Where() != tt.where {
				t.Errorf("Load() uses %q\n%s, want %q\n%s", c.Cluster.Kubeconfig, c.Where(), tt.kubeconfig, tt.where)
			}
		})
	}
}

func TestKubeconfigs(t *testing.T) {
	dir := t.TempDir()
	there, none, other := filepath.Join(dir, "there"), filepath.Join(dir, "none"), filepath.Join(dir, "other")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]string{
		there:               "",
		there + ":" + none:  "",
		none + ":" + there:  "",
		none:                "no such file or directory; give the path",
		none + ":" + other:  "none of these files exists; give the path",
		there + ":" + dir:   `KUBECONFIG="` + dir + `": not a regular file; give the path`,
		"/dev/null:" + none: `KUBECONFIG="/dev/null": not a regular file`,
	} {
		err := Config{Cluster: Cluster{Kubeconfig: list}}.kubeconfigs()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", list, err, want)
		}
	}
}
