//go:build vm

package vmtest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/wait"
)

var (
	cuts = flag.Int("cuts", 3, "how often the power of a node is cut")
	logs = flag.String("logs", filepath.Join(os.TempDir(), "pmem-lab-test-logs"), "directory for the logs of the lab if the test fails")
)

const namespace = "lab-test"

func TestMain(m *testing.M) {
	lab.RunProgram()
	flag.Parse()
	if *cuts < 1 || *cuts > 1000 {
		fmt.Fprintf(os.Stderr, "-cuts=%d: give 1 to 1000\n", *cuts)
		os.Exit(2)
	}
	if err := becomeRoot(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// environment returns the options that the variables of the lab give.
func environment() (lab.Options, error) {
	flags := pflag.NewFlagSet("lab", pflag.ContinueOnError)
	config.Flags(flags, config.LabGroup)
	c, err := config.Load(flags, os.Getenv, "")
	if err != nil {
		return lab.Options{}, err
	}
	return lab.Configured(c.Lab)
}

func options() (lab.Options, error) {
	opts, err := environment()
	if opts.Name == "" {
		opts.Name = "test"
	}
	return opts, err
}

func becomeRoot() error {
	opts, err := options()
	if err != nil {
		return err
	}
	l, err := lab.New(opts)
	if err != nil {
		return err
	}
	return l.BecomeRoot()
}

// suite is a lab that is up, and what the tests need of it.
type suite struct {
	options lab.Options
	lab     *lab.Lab
	cluster *cluster.Cluster
	wait    wait.Waiter
}

func TestLab(t *testing.T) {
	s := up(t)
	t.Run("permissions", s.testPermissions)
	t.Run("network", s.testNetwork)
	t.Run("cuts", s.testCuts)
	t.Run("power", s.testPower)
	t.Run("shell", s.testShell)
	t.Run("specs", s.testSpecs)
}

// up brings a lab of its own up, and has it removed at the end.
func up(t *testing.T) *suite { return upWith(t, func(*lab.Options) {}) }

func upWith(t *testing.T, change func(*lab.Options)) *suite {
	t.Helper()
	opts, err := options()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Machines.Nodes == 0 {
		opts.Machines.Nodes = 2
	}
	if opts.Machines.Nodes < 2 {
		t.Fatalf("LAB_NODES=%d: the tests need two nodes or more", opts.Machines.Nodes)
	}
	if opts.Machines.PMEM == 0 {
		opts.Machines.PMEM = 1024
	}
	opts.Progress = progress.Lines(t.Output())
	if scale := os.Getenv("WAIT_SCALE"); scale != "" {
		if opts.Waiter.Scale, err = wait.ParseScale(scale); err != nil {
			t.Fatalf("WAIT_SCALE=%q: %v", scale, err)
		}
	}
	change(&opts)
	l, err := lab.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Status(during(t)).Err(); err == nil {
		t.Fatalf("lab %s is up, and the test would remove it: make lab-down does that too, or name another with LAB_NAME", opts.Name)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if err := l.SaveLogs(*logs, &redact.Redactor{}); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			} else {
				t.Logf("logs of the lab are in %s", *logs)
			}
		}
		if err := l.Down(context.WithoutCancel(during(t))); err != nil {
			t.Error(err)
		}
	})
	if err := os.RemoveAll(*logs); err != nil {
		t.Fatal(err)
	}
	if err := l.Up(during(t)); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Connect(during(t), l.Kubeconfig(), plane.KubectlContext, opts.Waiter)
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{options: opts, lab: l, cluster: c, wait: opts.Waiter}
	if err := c.Resources.Create(during(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	if err := s.wait.Until(during(t), wait.NamespaceReady, "the service account of "+namespace, func(ctx context.Context) (bool, string, error) {
		_, err := c.Client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, "", err
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// run creates a pod of the lab's memcached image on a node.
func (s *suite) run(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	pod.Namespace = namespace
	pod.Spec.Containers[0].Name = "main"
	images, err := s.lab.MemcachedImages()
	if err != nil {
		t.Fatal(err)
	}
	pod.Spec.Containers[0].Image = images[0]
	if err := s.cluster.Resources.Create(during(t), pod); err != nil {
		t.Fatal(err)
	}
}

// ready waits until the pod has a Ready container other than old, and returns
// the pod.
func (s *suite) ready(t *testing.T, name, old string) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	if err := s.wait.Until(during(t), wait.PodRuns, "pod "+name+" to be Ready", func(ctx context.Context) (bool, string, error) {
		var err error
		if pod, err = s.cluster.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return false, "", err
		}
		return podutils.IsPodReady(pod) && containerOf(pod) != old, fmt.Sprintf("%s, container %s", pod.Status.Phase, containerOf(pod)), nil
	}); err != nil {
		t.Fatal(err)
	}
	return pod
}

func containerOf(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		return c.ContainerID
	}
	return ""
}

// shell runs a script in a pod and returns what it wrote.
func (s *suite) shell(t *testing.T, pod, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(during(t), time.Minute)
	defer cancel()
	result, err := s.cluster.Exec(ctx, namespace, pod, "main", "bash", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("%s in %s: exit code %d\n%s%s", script, pod, result.ExitCode, result.Stdout, result.Stderr)
	}
	return strings.TrimSpace(result.Stdout)
}

func (s *suite) power(t *testing.T, node string, action power.Action) time.Duration {
	t.Helper()
	start := time.Now()
	if err := s.lab.Power(during(t), node, action); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func (s *suite) expectPower(t *testing.T, node string, want vm.Power) {
	t.Helper()
	for _, n := range s.lab.Status(during(t)).Nodes {
		if n.Name == node && n.Power != want {
			t.Errorf("%s is %s, want %s", node, n.Power, want)
		}
	}
}
