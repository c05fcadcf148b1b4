package kind

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/exec"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/kind/region"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// engineScript is a docker that has nothing and says so.
const engineScript = `#!/bin/sh
echo "$*" >>"$0.calls"
case "$1 $2" in
"network inspect"|"image inspect") exit 1 ;;
"ps -a") exit 0 ;;
esac
`

func cluster(t *testing.T, archives ...string) *Cluster {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(engineScript), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", "")
	var files []string
	for _, reference := range archives {
		tag, err := name.NewTag(reference)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, strings.NewReplacer("/", "-", ":", "-").Replace(reference)+".tar")
		if err := tarball.WriteToFile(file, tag, empty.Image); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	c, err := New(Options{Name: "mine", Engine: "docker", Region: "region0", Images: files, Dir: filepath.Join(dir, "state"), Waiter: wait.Waiter{Scale: wait.Scale{All: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfig(t *testing.T) {
	c := cluster(t).config()
	if len(c.Nodes) != 2 || c.Nodes[0].Role != v1alpha4.ControlPlaneRole || c.Nodes[1].Role != v1alpha4.WorkerRole {
		t.Fatalf("nodes %+v, want a control plane and a worker", c.Nodes)
	}
	if len(c.Nodes[0].ExtraMounts) != 0 || len(c.Nodes[1].ExtraMounts) == 0 || c.Nodes[1].ExtraMounts[0].ContainerPath != "/dev" {
		t.Errorf("mounts %+v and %+v, want those of this machine in the worker alone", c.Nodes[0].ExtraMounts, c.Nodes[1].ExtraMounts)
	}
	if patches := strings.Join(c.KubeadmConfigPatches, ""); !strings.Contains(patches, "controlPlaneComponentHealthCheck: 8m0s") {
		t.Errorf("patches %s, want limits at wait scale 2", patches)
	} else if !strings.Contains(patches, "encryptionAlgorithm: ECDSA-P256") {
		t.Errorf("patches %s, want keys that are made quickly", patches)
	}
	if p := c.KubeadmConfigPatchesJSON6902; len(p) != 1 || p[0].Version != kubeadmVersion || strings.Count(p[0].Patch, `{name: leader-elect, value: "false"}`) != 2 {
		t.Errorf("patches %+v, want a controller manager and a scheduler without elections", p)
	}
}

// present is a node on which some images have these ids.
type present struct {
	nodes.Node
	ids map[string]string
}

func (p present) Command(command string, args ...string) exec.Cmd {
	id := p.ids[args[len(args)-1]]
	if id == "" {
		return exec.Command("false")
	}
	return exec.Command("echo", fmt.Sprintf(`{"status":{"id":%q}}`, id))
}

func TestHasAll(t *testing.T) {
	n := present{ids: map[string]string{"example.com/a:1": "sha256:1", "example.com/b:1": "sha256:2"}}
	for _, tt := range []struct {
		name string
		of   images.Archive
		want bool
	}{
		{"all are there", images.Archive{Images: []string{"example.com/a:1", "example.com/b:1"}, IDs: map[string]string{"example.com/a:1": "sha256:1", "example.com/b:1": "sha256:2"}}, true},
		{"another of the name", images.Archive{Images: []string{"example.com/a:1"}, IDs: map[string]string{"example.com/a:1": "sha256:2"}}, false},
		{"one is missing", images.Archive{Images: []string{"example.com/a:1", "example.com/c:1"}, IDs: map[string]string{"example.com/a:1": "sha256:1", "example.com/c:1": "sha256:3"}}, false},
		{"no ids", images.Archive{Images: []string{"example.com/a:1"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := hasAll(n, tt.of); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Other clusters of kind share the network kind; this one has its own.
func TestNetwork(t *testing.T) {
	c := cluster(t)
	if got := os.Getenv("KIND_EXPERIMENTAL_DOCKER_NETWORK"); got != "mine" || c.network() != "mine" {
		t.Errorf("network %q, %q, want mine", got, c.network())
	}
}

func TestImage(t *testing.T) {
	c := cluster(t, "lab.invalid/pmem-csi-driver:v1.1.0", "lab.invalid/memcached:1.6.38")
	for reference, want := range map[string]string{
		driverReference: "lab.invalid/pmem-csi-driver:v1.1.0",
		"registry.k8s.io/sig-storage/csi-provisioner:v3.2.1": "registry.k8s.io/sig-storage/csi-provisioner:v3.2.1",
	} {
		if got, err := c.image(reference); err != nil || got != want {
			t.Errorf("image(%s) = %s, %v; want %s", reference, got, err, want)
		}
	}
	if got := c.MemcachedImages(); len(got) != 1 || got[0] != "lab.invalid/memcached:1.6.38" {
		t.Errorf("memcached: %q", got)
	}
}

// The release's driver would make namespaces of all free memory of the machine.
func TestTakeNothing(t *testing.T) {
	set := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Command: []string{"/usr/local/bin/pmem-csi-driver", "-deviceManager=lvm", "-pmemPercentage=100"}}, {Args: []string{"-v=3"}}}}}}}
	if err := takeNothing(set); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Spec.Template.Spec.Containers[0].Command, " "); got != "/usr/local/bin/pmem-csi-driver -deviceManager=lvm -pmemPercentage=0" {
		t.Errorf("command %s", got)
	}
}

// What is not written down was not made by the suite.
func TestDownLeavesOthersAlone(t *testing.T) {
	c := cluster(t)
	if c.Made() {
		t.Error("a cluster that was not made is the suite's")
	}
	if err := c.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if calls := calls(t); calls != "" {
		t.Errorf("calls of the engine:\n%s", calls)
	}
}

func TestUpRefuses(t *testing.T) {
	c := cluster(t)
	s := &state{Dir: c.opts.Dir, Name: "mine", Engine: "docker", Region: region.State{Bus: "ndbus0", Region: "region0", Namespace: "namespace0.0", Mode: "raw"}}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if err := c.Up(t.Context()); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "--mode raw --reconfig namespace0.0") {
		t.Errorf("persistent memory was not given back: %v", err)
	}
	script := strings.Replace(engineScript, `"ps -a") exit 0 ;;`, `"ps -a") echo mine ;;`, 1)
	docker, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	if err := os.WriteFile(filepath.Join(docker, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Up(t.Context()); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), `KIND_NAME="mine"`) {
		t.Errorf("a cluster of the name exists: %v", err)
	}
	if calls := calls(t); strings.Contains("\n"+calls, "\nrm ") || strings.Contains(calls, "run ") {
		t.Errorf("calls of the engine:\n%s", calls)
	}
}

func calls(t *testing.T) string {
	t.Helper()
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	text, err := os.ReadFile(filepath.Join(dir, "docker.calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func TestNewRefuses(t *testing.T) {
	for _, opts := range []Options{{Engine: "rkt"}, {Engine: "docker", Images: []string{"/none.tar"}}} {
		t.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", "")
		if _, err := New(opts); !errors.Is(err, ErrUnfit) {
			t.Errorf("%+v: %v, want %v", opts, err, ErrUnfit)
		}
	}
}

func TestLogger(t *testing.T) {
	var out strings.Builder
	l := logger{progress.Lines(&out)}
	l.V(0).Infof("Creating cluster %q ...\n", "mine")
	l.V(1).Info("details")
	l.Warn("WARNING: Overriding docker network due to KIND_EXPERIMENTAL_DOCKER_NETWORK\nWARNING: other")
	if want := "kind     Creating cluster \"mine\" ...\nkind     WARNING: other\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestPrintOutput(t *testing.T) {
	var out strings.Builder
	printOutput(&out, errors.New("no command"))
	said := strings.Repeat("before\n", outputLines) + "[wait-control-plane] timed out\n"
	printOutput(&out, fmt.Errorf("failed to init node: %w", &exec.RunError{Command: []string{"kubeadm"}, Output: []byte(said), Inner: errors.New("exit status 1")}))
	if got := out.String(); strings.Count(got, "\n") != outputLines || !strings.HasSuffix(got, "kind     | [wait-control-plane] timed out\n") {
		t.Errorf("printed\n%s", got)
	}
}
