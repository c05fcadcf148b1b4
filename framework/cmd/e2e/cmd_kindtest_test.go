package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/kind/trial"
)

// A trial has its specs and its deployments from variables; the machine gets what these deployments need.
func TestChooseTrial(t *testing.T) {
	checkout, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		variables map[string]string
		deploy    config.Deploy
		setting   string // that the run gets
		path      string // of the persistent deployment in the machine's files
		wrong     string
	}{
		{name: "by default", setting: "FOCUS=^(" + strings.Join(trialSpecs, "|") + ")"},
		{name: "chosen specs", variables: map[string]string{"LABELS": "MUST"}, setting: "LABELS=MUST"},
		{name: "all specs", variables: map[string]string{"WHOLE": "1", "SEED": "7"}, setting: "SEED=7"},
		{name: "all specs and some", variables: map[string]string{"WHOLE": "1", "FOCUS": "RST-01"}, wrong: `FOCUS="RST-01": WHOLE runs all specs`},
		{name: "all specs, misspelt", variables: map[string]string{"WHOLE": "yes"}, wrong: `WHOLE="yes"`},
		{name: "a broken overlay", variables: map[string]string{"MUTANT": "sigterm-not-translated", "FOCUS": "RST-01"}, setting: "FOCUS=RST-01",
			path: "e2e/testdata/broken/sigterm-not-translated"},
		{name: "a deployment of the checkout", variables: map[string]string{"PERSISTENT": "manifests/xfs/persistent"},
			deploy: config.Deploy{Persistent: filepath.Join(checkout, "manifests/xfs/persistent")}, path: "manifests/xfs/persistent"},
		{name: "a deployment from elsewhere", variables: map[string]string{"PERSISTENT": "/srv/mine"}, deploy: config.Deploy{Persistent: "/srv/mine"}, wrong: `PERSISTENT="/srv/mine"`},
		{name: "no such mutant", variables: map[string]string{"MUTANT": "sigterm-not-translate"}, wrong: "did you mean sigterm-not-translated?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, variable := range append([]string{"WHOLE", "MUTANT", "EPHEMERAL", "PERSISTENT"}, trialVariables...) {
				t.Setenv(variable, tt.variables[variable])
			}
			var o trial.Options
			dir := filepath.Join(t.TempDir(), "files")
			err := chooseTrial(&o, config.Config{Deploy: tt.deploy}, checkout, dir)
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Fatalf("err = %v, want %q", err, tt.wrong)
			}
			if settings := strings.Join(o.Settings, "\n"); !strings.Contains(settings, tt.setting) {
				t.Errorf("settings %q, want %q", settings, tt.setting)
			} else if err == nil && tt.variables["WHOLE"] != "" && strings.Contains(settings, "FOCUS") {
				t.Errorf("settings %q select specs", settings)
			}
			if err != nil {
				return
			}
			if o.Deployments["PERSISTENT"] != tt.path || (o.Files == "") != (tt.path == "") {
				t.Errorf("deployments %v in %q, want %q", o.Deployments, o.Files, tt.path)
			}
			if tt.path == "" {
				return
			}
			if _, err := deploy.Load(filepath.Join(dir, tt.path), deploy.Changes{}); err != nil {
				t.Errorf("the files do not suffice: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "manifests/persistent")); err != nil {
				t.Error(err)
			}
		})
	}
}
