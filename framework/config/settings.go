package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Group is a set of settings that belong together.
type Group string

// Groups in the order of help texts.
const (
	Selection   Group = "What runs"
	Connection  Group = "Where it runs"
	Deployments Group = "What is examined"
	Strictness  Group = "What counts"
	Measurement Group = "Benchmarks"
	Output      Group = "Output"
	LabGroup    Group = "The lab"
	KindGroup   Group = "The kind cluster"
)

var groups = []Group{Selection, Connection, Deployments, Strictness, Measurement, Output, LabGroup, KindGroup}

// Setting is one value that a user can give: as a variable, as a flag, and in
// a CONFIG file as a key with the name of the flag.
type Setting struct {
	Variable string
	Flag     string
	Group    Group
	Usage    string // a phrase, with the default where there is one

	value value
	// again reports whether the command that repeats a run has the setting.
	again func(Config) bool
	// builds is set where the value decides what the lab is built from.
	builds bool
}

func always(Config) bool       { return true }
func never(Config) bool        { return false }
func onLab(c Config) bool      { return c.Cluster.Provider == Lab || c.Cluster.Provider == "" }
func onExisting(c Config) bool { return c.Cluster.Provider == Existing }
func onKind(c Config) bool     { return c.Cluster.Provider == Kind }
func withImages(c Config) bool { return !onLab(c) || c.Lab.Images != "" }

// MaxParallel bounds PARALLEL.
const MaxParallel = 8

// Bounds of what a lab consists of. Memory is in MiB, and a multiple of
// LabPMEMStep, because the kernel takes it in sections of that size.
const (
	MaxLabNodes = 4
	MinLabPMEM  = 512
	MaxLabPMEM  = 32768
	LabPMEMStep = 128

	DefaultLabPMEM = 3072
)

// settings is the only list of settings: flags, variables, keys of the CONFIG
// file, help, the command that repeats a run and the Makefile's list of
// variables come from it. The order is that of the command.
var settings = []Setting{
	{"LABELS", "labels", Selection, "Ginkgo label filter, such as 'ephemeral && MUST' or RST-01",
		text(func(c *Config) *string { return &c.Select.Labels }), always, false},
	{"FOCUS", "focus", Selection, "regular expression on a spec's id and title, such as RST-01",
		focus(), always, false},
	{"SEED", "seed", Selection, "order of the specs, as an earlier run printed it",
		seed(), always, false},
	{"PARALLEL", "parallel", Selection, fmt.Sprintf("specs that run at the same time, 1 to %d (default: %d on the lab, else 1)", MaxParallel, labParallel),
		number(func(c *Config) *int { return &c.Parallel }, bounds{1, MaxParallel, 1}), always, false},
	{"QUALIFICATION", "qualification", Strictness, "1: a report to be signed; nothing may be left out or retried",
		yesOrNo(func(c *Config) *bool { return &c.Qualification }), always, false},

	{"PROVIDER", "provider", Connection, "lab, kind or existing (default: existing if --kubeconfig is given)",
		oneOf(func(c *Config) *string { return &c.Cluster.Provider }, Lab, Kind, Existing), onKind, false},
	{kubeconfigVariable, "kubeconfig", Connection, "kubeconfig files of an existing cluster, separated by colons",
		paths(func(c *Config) *string { return &c.Cluster.Kubeconfig }), onExisting, false},
	{"KUBE_CONTEXT", "context", Connection, "context (default: the current one)",
		text(func(c *Config) *string { return &c.Cluster.Context }), onExisting, false},

	{"LAB_NAME", "lab-name", LabGroup, "name of the lab, where there are several (default: default)",
		text(func(c *Config) *string { return &c.Lab.Name }), onLab, false},
	{"LAB_NODES", "lab-nodes", LabGroup, fmt.Sprintf("number of nodes, 1 to %d (default: 2, or 1 on a small machine)", MaxLabNodes),
		number(func(c *Config) *int { return &c.Lab.Nodes }, bounds{1, MaxLabNodes, 1}), onLab, false},
	{"LAB_PMEM", "lab-pmem", LabGroup, fmt.Sprintf("persistent memory of a node in MiB, %d to %d (default: %d)", MinLabPMEM, MaxLabPMEM, DefaultLabPMEM),
		number(func(c *Config) *int { return &c.Lab.PMEM }, bounds{MinLabPMEM, MaxLabPMEM, LabPMEMStep}), onLab, false},
	{"LAB_PORT", "lab-port", LabGroup, "port of the API server on 127.0.0.1 (default: any)",
		number(func(c *Config) *int { return &c.Lab.Port }, bounds{0, 65535, 1}), never, false},
	{"LAB_ACCEL", "lab-accel", LabGroup, "kvm, tcg (emulation) or auto (default: auto)",
		oneOf(func(c *Config) *string { return &c.Lab.Accel }, "kvm", "tcg", "auto"), onLab, false},
	{"LAB_KUBERNETES", "lab-kubernetes", LabGroup, "Kubernetes release, such as 1.37 (default: the newest)",
		text(func(c *Config) *string { return &c.Lab.Kubernetes }), onLab, true},
	{"LAB_MEMCACHED", "lab-memcached", LabGroup, "memcached by version or Debian suite, more after commas (default: trixie)",
		text(func(c *Config) *string { return &c.Lab.Memcached }), onLab, true},
	{"LAB_KERNEL", "lab-kernel", LabGroup, "kernel by version or Debian suite, such as 6.1 (default: trixie)",
		text(func(c *Config) *string { return &c.Lab.Kernel }), onLab, true},
	{"LAB_DRIVER", "lab-driver", LabGroup, "mode of PMEM-CSI: lvm or direct (default: lvm)",
		text(func(c *Config) *string { return &c.Lab.Driver }), onLab, true},
	{"LAB_SNAPSHOT", "lab-snapshot", LabGroup, "1: start from a snapshot, which is taken first if there is none",
		yesOrNo(func(c *Config) *bool { return &c.Lab.Snapshot }), onLab, false},
	{"LAB_IMAGES", "lab-images", LabGroup, "archives of images for the nodes (docker save), separated by colons",
		paths(func(c *Config) *string { return &c.Lab.Images }), onLab, true},
	{"KEEP_LAB", "keep-lab", Connection, "1: leave the lab up at the end of the run",
		yesOrNo(func(c *Config) *bool { return &c.Cluster.KeepLab }), never, false},
	{"CACHE_DIR", "cache-dir", LabGroup, "directory for what labs are built from (default: below the user's cache)",
		path(func(c *Config) *string { return &c.Lab.CacheDir }), never, false},

	{"KIND_NAME", "kind-name", KindGroup, "name of the cluster (default: " + KindName + ")",
		text(func(c *Config) *string { return &c.Kind.Name }), onKind, false},
	{"KIND_PMEM", "kind-pmem", KindGroup, "region of the host's persistent memory that may be used, such as region0",
		text(func(c *Config) *string { return &c.Kind.PMEM }), onKind, false},
	{"KIND_ENGINE", "kind-engine", KindGroup, "docker, nerdctl or podman (default: the first that answers)",
		oneOf(func(c *Config) *string { return &c.Kind.Engine }, "docker", "nerdctl", "podman"), onKind, false},
	{"KIND_NODE_IMAGE", "kind-node-image", KindGroup, "image of the nodes (default: kind's)",
		text(func(c *Config) *string { return &c.Kind.NodeImage }), onKind, false},
	{"KIND_IMAGES", "kind-images", KindGroup, "archives of images or directories of them, with colons between them",
		paths(func(c *Config) *string { return &c.Kind.Images }), onKind, false},
	{"KEEP_CLUSTER", "keep-cluster", KindGroup, "1: leave the kind cluster at the end of the run",
		yesOrNo(func(c *Config) *bool { return &c.Kind.Keep }), never, false},

	{"EPHEMERAL", "ephemeral", Deployments, "kustomization of the ephemeral mode (default: manifests/ephemeral)",
		directory(func(c *Config) *string { return &c.Deploy.Ephemeral }), always, false},
	{"PERSISTENT", "persistent", Deployments, "kustomization of the persistent mode (default: manifests/persistent)",
		directory(func(c *Config) *string { return &c.Deploy.Persistent }), always, false},
	{"LOAD_RESTRICTOR", "load-restrictor", Deployments, "kustomize: LoadRestrictionsRootOnly (default) or LoadRestrictionsNone",
		oneOf(func(c *Config) *string { return &c.Deploy.LoadRestrictor }, LoadRootOnly, LoadNone), always, false},
	{"MEMCACHED_IMAGE", "memcached-image", Deployments, "image that replaces every image named memcached",
		text(func(c *Config) *string { return &c.Deploy.MemcachedImage }), withImages, false},
	{"OTHER_MEMCACHED_IMAGE", "other-memcached-image", Deployments, "another release, for updates (on the lab: LAB_MEMCACHED)",
		text(func(c *Config) *string { return &c.Deploy.OtherImage }), withImages, false},

	{"KNOWN_FAILURES", "known-failures", Strictness, "YAML file with failures that are accepted until a date",
		path(func(c *Config) *string { return &c.KnownFailures }), always, false},
	{"RETRIES", "retries", Strictness, "further attempts for a failing spec, 0 to 5, then flaky (default: 0)",
		number(func(c *Config) *int { return &c.Retries }, bounds{0, 5, 1}), always, false},
	{"SKIP_PREFLIGHT", "skip-preflight", Strictness, "checks before the run to leave out, separated by commas",
		list(func(c *Config) *[]string { return &c.SkipPreflight }), always, false},
	{"EXCLUSIVE", "exclusive", Strictness, "1: nothing else uses the cluster (default: 1 on lab and kind)",
		optional(func(c *Config) **bool { return &c.Exclusive }), always, false},
	{"DISRUPTIVE", "disruptive", Strictness, "1: specs may disrupt nodes and the driver (default: 1 on lab and kind)",
		optional(func(c *Config) **bool { return &c.Disruptive }), always, false},
	{"WAIT_SCALE", "wait-scale", Strictness, "factor on time limits, such as 2 or 2,deployment-ready=3 (default: 1)",
		waitScale(), always, false},

	{"BENCH", "bench", Measurement, "1: run the benchmarks instead of the conformance specs",
		yesOrNo(func(c *Config) *bool { return &c.Bench }), never, false}, // make bench
	{"BASELINE", "baseline", Measurement, "YAML file with ratios that benchmarks have to keep",
		path(func(c *Config) *string { return &c.Baseline }), always, false},
	{"BENCH_DURATION", "bench-duration", Measurement, "measured time of one sample, 1s to 10m (default: 2s, in specs 1s)",
		duration(), always, false},
	{"BENCH_PAIRS", "bench-pairs", Measurement, "pairs of samples in a comparison with DRAM, 6 to 100 (default: 6)",
		number(func(c *Config) *int { return &c.Sampling.Pairs }, bounds{6, 100, 1}), always, false},
	{"BENCH_CLIENTS", "bench-clients", Measurement, "load clients in the benchmark with several, 2 to 64 (default: 4)",
		number(func(c *Config) *int { return &c.Sampling.Clients }, bounds{2, 64, 1}), always, false},
	{"BENCH_PLACEMENT", "bench-placement", Measurement, "node of the load clients: any, same or another (default: any)",
		oneOf(func(c *Config) *string { return &c.Sampling.Place }, "any", "same", "another"), always, false},

	{"REPORT_DIR", "report-dir", Output, "directory for the report and the evidence (default: report)",
		directory(func(c *Config) *string { return &c.ReportDir }), never, false},
	{"VERBOSE", "verbose", Output, "1: print every step of a spec and every fact",
		yesOrNo(func(c *Config) *bool { return &c.Verbose }), never, false},
}

// The file is read before all other settings.
const (
	fileVariable = "CONFIG"
	fileFlag     = "config-file"
	fileUsage    = "YAML file with settings by the names of their flags"

	kubeconfigVariable = "KUBECONFIG"
)

// Variables lists the variables of the given groups, or of all groups if none
// is given; CONFIG is one of the output's.
func Variables(of ...Group) []string {
	var names []string
	for _, s := range settings {
		if s.in(of) {
			names = append(names, s.Variable)
		}
	}
	if len(of) == 0 || slices.Contains(of, Output) {
		names = append(names, fileVariable)
	}
	return names
}

func (s Setting) in(of []Group) bool { return len(of) == 0 || slices.Contains(of, s.Group) }

// column is that of the texts in Usage, so that no line has more than 100.
const column = 27

// Usage writes the settings of the given groups, or of all groups if none is
// given: the flag and its meaning, and the variable if its name does not follow
// from that of the flag.
func Usage(w io.Writer, of ...Group) error {
	var b strings.Builder
	for _, g := range groups {
		if len(of) > 0 && !slices.Contains(of, g) {
			continue
		}
		fmt.Fprintf(&b, "%s:\n", g)
		for _, s := range settings {
			if s.Group == g {
				fmt.Fprintf(&b, "  %-*s%s\n", column-2, "--"+s.Flag, s.help())
			}
		}
		if g == Output {
			fmt.Fprintf(&b, "  %-*s%s (variable %s)\n", column-2, "--"+fileFlag, fileUsage, fileVariable)
		}
	}
	b.WriteString("Each is also a variable: --lab-nodes is LAB_NODES. Flags override variables, and these the file.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Setting) help() string {
	if s.Variable != variableOf(s.Flag) {
		return s.Usage + "; variable " + s.Variable
	}
	return s.Usage
}

func variableOf(flag string) string { return strings.ToUpper(strings.ReplaceAll(flag, "-", "_")) }
