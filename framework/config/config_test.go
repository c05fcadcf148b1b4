package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/wait"
)

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// load is Load with the flags that args have.
func load(args []string, getenv func(string) string, dir string) (Config, error) {
	flags := pflag.NewFlagSet("e2e", pflag.ContinueOnError)
	Flags(flags)
	if err := flags.Parse(args); err != nil {
		return Config{}, err
	}
	return Load(flags, getenv, dir)
}

func TestSample(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   time.Duration
	}{
		{"specs", func(*Config) {}, time.Second},
		{"benchmarks", func(c *Config) { c.Bench = true }, 2 * time.Second},
		{"specs and benchmarks", func(c *Config) { c.Qualification, c.Baseline = true, "base.yaml" }, 2 * time.Second},
		{"given", func(c *Config) { c.Bench, c.Sampling.Duration = true, 5*time.Second }, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Default("/src")
			tt.change(&c)
			if got := c.Sample(); got != tt.want {
				t.Errorf("Sample() = %s, want %s", got, tt.want)
			}
		})
	}
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
				c.Cluster.Provider, c.Select.Labels, c.WaitScale.All = Lab, "MUST", 2.5
				c.Sampling.Duration, c.Select.Seed = time.Minute, 7
			},
		},
		{
			name: "a flag beats the environment",
			env:  map[string]string{"LABELS": "MUST", "FOCUS": "EPH"}, args: []string{"--labels", "RST-01"},
			want: func(c *Config) { c.Cluster.Provider, c.Select.Labels, c.Select.Focus = Lab, "RST-01", "EPH" },
		},
		{
			name: "relative paths start at the directory",
			args: []string{"--ephemeral=mine", "--persistent=../theirs", "--report-dir", "out"},
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
			got, err := load(tt.args, env(tt.env), dir)
			if err != nil {
				t.Fatal(err)
			}
			want := Default(dir)
			tt.want(&want)
			got.Cluster.Why = ""
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
		{"unknown provider", nil, map[string]string{"PROVIDER": "minikube"}, []string{"PROVIDER", `"minikube"`, "lab, kind or existing"}},
		{"flag of an unknown provider", []string{"--provider=minikube"}, nil, []string{"--provider", `"minikube"`}},
		{"foreign home", nil, map[string]string{"REPORT_DIR": "~bob/report"}, []string{"REPORT_DIR", `"~bob/report"`, "./~bob/report"}},
		{"home that is not known", nil, map[string]string{"EPHEMERAL": "~/mine", "HOME": ""}, []string{"EPHEMERAL", "HOME is not set"}},
		{"nodes", nil, map[string]string{"LAB_NODES": "5"}, []string{`LAB_NODES="5"`, "1 to 4"}},
		{"memory of the lab", nil, map[string]string{"LAB_PMEM": "600"}, []string{`LAB_PMEM="600"`, "a multiple of 128 from 512 to 32768"}},
		{"no memory of the lab", nil, map[string]string{"LAB_PMEM": "0"}, []string{`LAB_PMEM="0"`}},
		{"port", nil, map[string]string{"LAB_PORT": "65536"}, []string{`LAB_PORT="65536"`, "0 to 65535"}},
		{"accelerator", []string{"--lab-accel=warp"}, nil, []string{`--lab-accel="warp"`, "kvm, tcg or auto"}},
		{"scale is no number", nil, map[string]string{"WAIT_SCALE": "fast"}, []string{"WAIT_SCALE", `"fast"`, "0.1 to 100"}},
		{"scale is not finite", nil, map[string]string{"WAIT_SCALE": "NaN"}, []string{"WAIT_SCALE"}},
		{"scale is zero", nil, map[string]string{"WAIT_SCALE": "0"}, []string{"WAIT_SCALE"}},
		{"few pairs", nil, map[string]string{"BENCH_PAIRS": "5"}, []string{"BENCH_PAIRS", `"5"`, "6 to 100"}},
		{"clients in words", nil, map[string]string{"BENCH_CLIENTS": "four"}, []string{"BENCH_CLIENTS", `"four"`, "2 to 64"}},
		{"placement", nil, map[string]string{"BENCH_PLACEMENT": "near"}, []string{"BENCH_PLACEMENT", `"near"`, "any, same or another"}},
		{"duration without unit", nil, map[string]string{"BENCH_DURATION": "5"}, []string{"BENCH_DURATION", `"5"`, "5s"}},
		{"malformed focus", nil, map[string]string{"FOCUS": "RST-(01"}, []string{"FOCUS", "RST-(01", "regular expression"}},
		{"negative seed", []string{"--seed=-1"}, nil, []string{"--seed", "positive"}},
		{"keep-lab", nil, map[string]string{"KEEP_LAB": "maybe"}, []string{"KEEP_LAB", `"maybe"`}},
		{"bench", nil, map[string]string{"BENCH": "often"}, []string{"BENCH", `"often"`, "1 or 0"}},
		{"two at once", []string{"--seed=x"}, map[string]string{"PROVIDER": "minikube"}, []string{"PROVIDER", "--seed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(tt.args, env(tt.env), t.TempDir())
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
		{"versions of an existing cluster", func(c *Config) {
			c.Cluster = Cluster{Provider: Existing, Kubeconfig: file}
			c.Lab = LabSettings{Nodes: 2, Kubernetes: "1.36", Memcached: "sid", Kernel: "6.1", Driver: "direct"}
		}, []string{`LAB_KUBERNETES="1.36"`, `LAB_MEMCACHED="sid"`, `LAB_KERNEL="6.1"`, `LAB_DRIVER="direct"`, "KUBECONFIG"}},
		{"versions of the lab", func(c *Config) { c.Lab.Kubernetes, c.Lab.Memcached = "1.36", "sid" }, nil},
		{"context of the lab", func(c *Config) { c.Cluster.Context = "other" }, []string{"KUBE_CONTEXT", "other"}},
		{"other image on the lab", func(c *Config) { c.Deploy.OtherImage = "memcached:1" }, []string{"OTHER_MEMCACHED_IMAGE", "memcached:1", "LAB_MEMCACHED"}},
		{"image on the lab", func(c *Config) { c.Deploy.MemcachedImage = "memcached:1" }, []string{"MEMCACHED_IMAGE", "memcached:1"}},
		{"kind", func(c *Config) {
			c.Cluster.Provider = Kind
			c.Kind = KindSettings{PMEM: "region0", Images: base + ":" + file, Keep: true}
			c.Deploy.MemcachedImage, c.Deploy.OtherImage = "memcached:1", "memcached:2"
		}, nil},
		{"kind with what is the lab's", func(c *Config) {
			c.Cluster = Cluster{Provider: Kind, KeepLab: true, Context: "other"}
			c.Lab = LabSettings{Kubernetes: "1.36", Memcached: "sid", Kernel: "6.1", Driver: "direct"}
		}, []string{"KEEP_CLUSTER=1", "KUBE_CONTEXT", `LAB_KUBERNETES="1.36"`, "KIND_NODE_IMAGE", `LAB_MEMCACHED="sid"`, `LAB_KERNEL="6.1"`, `LAB_DRIVER="direct"`}},
		{"name of a kind cluster", func(c *Config) { c.Cluster.Provider, c.Kind.Name = Kind, "Mine" }, []string{`KIND_NAME="Mine"`, "lower case"}},
		{"no such archive", func(c *Config) { c.Cluster.Provider, c.Kind.Images = Kind, base+"/none.tar" }, []string{"KIND_IMAGES", "/none.tar", "docker save"}},
		{"what is kind's on the lab", func(c *Config) {
			c.Kind = KindSettings{Name: "a", PMEM: "region0", Engine: "docker", NodeImage: "node:1", Images: file, Keep: true}
		}, []string{`KIND_NAME="a"`, `KIND_PMEM="region0"`, `KIND_ENGINE="docker"`, `KIND_NODE_IMAGE="node:1"`, "KIND_IMAGES", `KEEP_CLUSTER="1"`, "PROVIDER=kind"}},
		{"provider", func(c *Config) { c.Cluster.Provider = "minikube" }, []string{"PROVIDER", "minikube"}},
		{"ephemeral missing", func(c *Config) { c.Deploy.Ephemeral = base + "/none" }, []string{"EPHEMERAL", "/none"}},
		{"persistent is a file", func(c *Config) { c.Deploy.Persistent = file }, []string{"PERSISTENT", "not a directory"}},
		{"known failures missing", func(c *Config) { c.KnownFailures = base + "/none.yaml" }, []string{"KNOWN_FAILURES", "/none.yaml", "no such file"}},
		{"known failures are a directory", func(c *Config) { c.KnownFailures = base }, []string{"KNOWN_FAILURES", "not a regular file"}},
		{"known failures", func(c *Config) { c.KnownFailures = file }, nil},
		{"baseline missing", func(c *Config) { c.Bench, c.Baseline = true, base+"/none.yaml" }, []string{"BASELINE", "/none.yaml", "no such file"}},
		{"baseline without a measurement", func(c *Config) { c.Baseline = file }, []string{"BASELINE", file, "BENCH=1 or QUALIFICATION=1"}},
		{"baseline of a benchmark run", func(c *Config) { c.Bench, c.Baseline = true, file }, nil},
		{"baseline of a qualification", func(c *Config) { c.Qualification, c.Baseline = true, file }, nil},
		{"a benchmark run is no qualification", func(c *Config) { c.Bench, c.Qualification = true, true }, []string{`BENCH="1"`, "BASELINE"}},
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
	want.WaitScale = wait.Scale{All: 2, ByName: map[wait.Name]float64{wait.PodRuns: 4}}
	want.Rules = Rules{Bench: true, Baseline: "/base", Qualification: true, Retries: 1, KnownFailures: "/known", SkipPreflight: []string{"api"}, Exclusive: new(bool)}
	want.Task = Task{LeftOut: map[string]string{"DAX-01": "no dax"}, Events: "/dev/fd/3", ReportID: "20260102T030405Z-x7k2p"}
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
	lab := Default("/src")
	lab.Cluster = Cluster{Provider: Lab, Kubeconfig: "/tmp/lab", KeepLab: true}
	lab.Deploy.MemcachedImage = "the lab's own"
	lab.ReportDir, lab.Verbose = "/tmp/out", true

	chosen := Default("/src")
	chosen.Cluster.Provider = Lab
	chosen.Lab = LabSettings{Kubernetes: "1.36", Memcached: "bookworm,trixie", Kernel: "6.1", Driver: "direct", Port: 6443, CacheDir: "/srv/cache"}

	xfs := Default("/src")
	xfs.Cluster.Provider = Lab
	xfs.Deploy.Ephemeral, xfs.Deploy.Persistent = "/src/manifests/xfs/ephemeral", "/src/manifests/xfs/persistent"
	xfs.Lab = LabSettings{Name: "xfs", Nodes: 1, PMEM: 4096, Accel: "tcg", Snapshot: true}

	existing := Default("/src")
	existing.Cluster = Cluster{Provider: Existing, Kubeconfig: "/home/me/my config"}
	existing.Deploy.Persistent = "/src/mine"
	existing.WaitScale.All = 2.5

	full := Default("/src")
	full.Cluster = Cluster{Provider: Existing, Kubeconfig: "/src/kube", Context: "me"}
	full.Select = Select{Labels: "ephemeral && MUST", Focus: "^RST", Seed: 7}
	full.Deploy = Deploy{Ephemeral: "/srv/eph", Persistent: "/srv/per", MemcachedImage: "memcached:1.6", OtherImage: "memcached:1.7"}
	full.WaitScale = wait.Scale{All: 2, ByName: map[wait.Name]float64{wait.DeploymentReady: 3}}
	full.Sampling = Sampling{Duration: time.Minute, Pairs: 8, Clients: 2, Place: "another"}
	full.Rules = Rules{Retries: 2, KnownFailures: "/src/known.yaml", SkipPreflight: []string{"api", "images"}, Exclusive: new(bool), Disruptive: new(bool)}

	signed := Default("/src")
	signed.Cluster.Provider = Lab
	signed.Qualification, signed.KnownFailures = true, "/srv/known.yaml"

	bench := Default("/src")
	bench.Cluster.Provider = Lab
	bench.Bench, bench.Baseline, bench.Select.Labels = true, "/src/base.yaml", "ephemeral"

	compared := Default("/src")
	compared.Cluster.Provider = Lab
	compared.Qualification, compared.Baseline = true, "/src/base.yaml"

	for _, tt := range []struct {
		name   string
		config Config
		focus  string
		want   string
	}{
		{"lab", lab, "", "make e2e"},
		{"lab, focused", lab, "RST-01", "make e2e FOCUS=RST-01"},
		{"versions", chosen, "", "make e2e LAB_KUBERNETES=1.36 LAB_MEMCACHED=bookworm,trixie LAB_KERNEL=6.1 LAB_DRIVER=direct"},
		{"versions, focused", chosen, "RST-01", "make e2e FOCUS=RST-01 LAB_KUBERNETES=1.36 LAB_MEMCACHED=bookworm,trixie LAB_KERNEL=6.1 LAB_DRIVER=direct"},
		{"xfs", xfs, "RST-01", "make e2e FOCUS=RST-01 LAB_NAME=xfs LAB_NODES=1 LAB_PMEM=4096 LAB_ACCEL=tcg LAB_SNAPSHOT=1 EPHEMERAL=manifests/xfs/ephemeral PERSISTENT=manifests/xfs/persistent"},
		{"existing", existing, "RST-01", "make e2e FOCUS=RST-01 KUBECONFIG='/home/me/my config' PERSISTENT=mine WAIT_SCALE=2.5"},
		{"everything", full, "", "make e2e LABELS='ephemeral && MUST' FOCUS='^RST' SEED=7 KUBECONFIG=kube KUBE_CONTEXT=me EPHEMERAL=/srv/eph PERSISTENT=/srv/per " +
			"MEMCACHED_IMAGE=memcached:1.6 OTHER_MEMCACHED_IMAGE=memcached:1.7 KNOWN_FAILURES=known.yaml RETRIES=2 SKIP_PREFLIGHT=api,images EXCLUSIVE=0 DISRUPTIVE=0 " +
			"WAIT_SCALE=2,deployment-ready=3 BENCH_DURATION=1m0s BENCH_PAIRS=8 BENCH_CLIENTS=2 BENCH_PLACEMENT=another"},
		{"everything, focused", full, "RST-02", "make e2e FOCUS=RST-02 KUBECONFIG=kube KUBE_CONTEXT=me EPHEMERAL=/srv/eph PERSISTENT=/srv/per " +
			"MEMCACHED_IMAGE=memcached:1.6 OTHER_MEMCACHED_IMAGE=memcached:1.7 KNOWN_FAILURES=known.yaml RETRIES=2 SKIP_PREFLIGHT=api,images EXCLUSIVE=0 DISRUPTIVE=0 " +
			"WAIT_SCALE=2,deployment-ready=3 BENCH_DURATION=1m0s BENCH_PAIRS=8 BENCH_CLIENTS=2 BENCH_PLACEMENT=another"},
		{"qualification", signed, "", "make e2e QUALIFICATION=1 KNOWN_FAILURES=/srv/known.yaml"},
		{"benchmarks", bench, "", "make bench LABELS=ephemeral BASELINE=base.yaml"},
		{"benchmarks, focused", bench, "THR-02", "make bench FOCUS=THR-02 BASELINE=base.yaml"},
		{"qualification with benchmarks", compared, "", "make e2e QUALIFICATION=1 BASELINE=base.yaml"},
		{"qualification with benchmarks, focused", compared, "RST-02", "make e2e FOCUS=RST-02"},
		{"qualification, focused", signed, "RST-02", "make e2e FOCUS=RST-02 KNOWN_FAILURES=/srv/known.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.config.Command(tt.focus)
			if got != tt.want {
				t.Errorf("Command() =\n%s, want\n%s", got, tt.want)
			}
			// Loading what the command says leads to the same run.
			flags := pflag.NewFlagSet("e2e", pflag.ContinueOnError)
			Flags(flags)
			words := map[string]string{}
			if strings.HasPrefix(got, "make bench") {
				words["BENCH"] = "1"
			}
			for _, word := range strings.Split(got, " ")[2:] {
				if name, value, ok := strings.Cut(word, "="); ok && !strings.Contains(got, "'") {
					words[name] = value
				}
			}
			if len(words) == 0 {
				return
			}
			// The Makefile passes what is given on its command line.
			if kubeconfig, ok := words["KUBECONFIG"]; ok {
				if err := flags.Set("kubeconfig", kubeconfig); err != nil {
					t.Fatal(err)
				}
			}
			c, err := Load(flags, env(words), "/src")
			if err != nil || c.Command("") != got {
				t.Errorf("Load() of it has the command\n%s (%v), want\n%s", c.Command(""), err, got)
			}
		})
	}
}

func TestCommandOfTheProgram(t *testing.T) {
	c := Default("/home/me")
	c.Program = "/home/me/e2e"
	c.Cluster = Cluster{Provider: Existing, Kubeconfig: "/home/me/~a:/srv/b"}
	c.Select.Labels = "it's $MUST"
	c.Bench = true
	away := Default("/home/me")
	away.Program, away.Deploy = "/opt/pmem/e2e", Default("/opt/pmem").Deploy
	away.Cluster.Provider = Lab
	if got, want := away.Command("RST-01"), "/opt/pmem/e2e run --focus=RST-01"; got != want {
		t.Errorf("Command() = %s, want %s", got, want)
	}
	for focus, want := range map[string]string{
		"":       `./e2e run --bench --labels='it'\''s $MUST' --kubeconfig='./~a:/srv/b'`,
		"BEN-01": `./e2e run --bench --focus=BEN-01 --kubeconfig='./~a:/srv/b'`,
	} {
		if got := c.Command(focus); got != want {
			t.Errorf("Command(%q) =\n%s, want\n%s", focus, got, want)
		}
	}
}

func TestOwnsCluster(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		provider string
		set      *bool
		want     bool
	}{
		{Lab, nil, true}, {Lab, &no, false}, {Lab, &yes, true},
		{Existing, nil, false}, {Existing, &no, false}, {Existing, &yes, true},
	} {
		c := Config{Cluster: Cluster{Provider: tt.provider}, Rules: Rules{Exclusive: tt.set, Disruptive: tt.set}}
		if got := c.OwnsCluster(); got != tt.want {
			t.Errorf("OwnsCluster() of %s is %t, want %t", tt.provider, got, tt.want)
		}
		if got := c.MayDisrupt(); got != tt.want {
			t.Errorf("MayDisrupt() of %s is %t, want %t", tt.provider, got, tt.want)
		}
	}
}

func TestAtOnce(t *testing.T) {
	for _, tt := range []struct {
		provider       string
		parallel, pmem int
		want           int
	}{
		{Lab, 0, 3072, 3}, {Lab, 0, 8192, 3}, {Lab, 0, 2048, 2}, {Lab, 0, 512, 1}, {Lab, 1, 3072, 1}, {Lab, 4, 1024, 4},
		{Kind, 0, 0, 1}, {Existing, 0, 0, 1}, {Existing, 4, 0, 4},
	} {
		c := Config{Cluster: Cluster{Provider: tt.provider}, Parallel: tt.parallel}
		if got := c.AtOnce(tt.pmem); got != tt.want {
			t.Errorf("on %s with PARALLEL=%d and %d MiB, %d specs run at the same time, want %d", tt.provider, tt.parallel, tt.pmem, got, tt.want)
		}
	}
}

func TestQualificationLeavesNothingOut(t *testing.T) {
	c := Default(t.TempDir())
	c.Rules = Rules{Qualification: true, Retries: 1, SkipPreflight: []string{"api", "images"}}
	c.Select = Select{Labels: "MUST", Focus: "RST"}
	const want = `LABELS="MUST": a qualification run leaves nothing out; leave it unset, or QUALIFICATION
FOCUS="RST": a qualification run leaves nothing out; leave it unset, or QUALIFICATION
SKIP_PREFLIGHT="api,images": a qualification run leaves nothing out; leave it unset, or QUALIFICATION
RETRIES="1": a qualification run retries nothing; leave it unset, or QUALIFICATION`
	if err := c.validateRules(); err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Validate() = %v, want all of it", err)
	}
	c.Qualification = false
	if err := c.validateRules(); err != nil {
		t.Errorf("without QUALIFICATION: %v", err)
	}
	c.Rules, c.Select = Rules{Qualification: true}, Select{Seed: 7}
	if err := c.validateRules(); err != nil {
		t.Errorf("a whole qualification run: %v", err)
	}
}
