package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
	"sigs.k8s.io/kind/pkg/exec"

	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/wait"
)

// fromHost are directories of this machine that the worker needs. Its own /dev
// would have the devices of the moment at which it was made, and none of the
// volumes that come later. Its sysfs shows the same persistent memory as this
// machine's, because there is one kernel. kind itself mounts /lib/modules.
var fromHost = []string{"/dev", "/run/udev"}

// timeouts of kubeadm at wait scale 1, which are its own defaults.
const timeouts = 4 * time.Minute

// config is the cluster in kind's terms.
func (c *Cluster) config() *v1alpha4.Cluster {
	worker := v1alpha4.Node{Role: v1alpha4.WorkerRole}
	for _, dir := range fromHost {
		if _, err := os.Stat(dir); err == nil {
			worker.ExtraMounts = append(worker.ExtraMounts, v1alpha4.Mount{HostPath: dir, ContainerPath: dir})
		}
	}
	limit := time.Duration(float64(timeouts) * c.opts.Waiter.Scale.Max())
	patch := func(kind string) string {
		return fmt.Sprintf("kind: %s\ntimeouts:\n  controlPlaneComponentHealthCheck: %[2]s\n  kubeletHealthCheck: %[2]s\n  kubernetesAPICall: %[2]s\n  tlsBootstrap: %[2]s\n  discovery: %[2]s\n", kind, limit)
	}
	return &v1alpha4.Cluster{
		TypeMeta:                     v1alpha4.TypeMeta{APIVersion: "kind.x-k8s.io/v1alpha4", Kind: "Cluster"},
		Nodes:                        []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}, worker},
		KubeadmConfigPatches:         []string{patch("InitConfiguration"), patch("JoinConfiguration"), shortKeys},
		KubeadmConfigPatchesJSON6902: []v1alpha4.PatchJSON6902{noElections},
	}
}

// kubeadmVersion is that of kubeadm's configuration which kind writes for Kubernetes 1.36 and later. The patches for it
// do not concern earlier ones.
const kubeadmVersion = "v1beta4"

// shortKeys has kubeadm make keys in much less time than those of RSA take.
const shortKeys = "apiVersion: kubeadm.k8s.io/" + kubeadmVersion + "\nkind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n"

// noElections has the only controller manager and the only scheduler not end when a busy machine lets them miss a renewal
// of their leases.
var noElections = v1alpha4.PatchJSON6902{Group: "kubeadm.k8s.io", Version: kubeadmVersion, Kind: "ClusterConfiguration", Patch: `
- op: add
  path: /controllerManager/extraArgs/-
  value: {name: leader-elect, value: "false"}
- op: add
  path: /scheduler/extraArgs
  value: [{name: leader-elect, value: "false"}]
`}

// create makes the nodes. kind does not know of contexts: when ctx ends, the
// nodes are deleted under its hands, on which it ends, too.
func (c *Cluster) create(ctx context.Context, s *state) error {
	done := make(chan error, 1)
	go func() {
		done <- c.provider.Create(c.opts.Name,
			kindcluster.CreateWithV1Alpha4Config(c.config()), kindcluster.CreateWithNodeImage(c.nodeImage()),
			kindcluster.CreateWithKubeconfigPath(c.Kubeconfig()), kindcluster.CreateWithRetain(true), // for the logs
			kindcluster.CreateWithWaitForReady(time.Duration(float64(timeouts)*c.opts.Waiter.Scale.Max())))
	}()
	select {
	case err := <-done:
		printOutput(c.opts.Progress, err)
		return err
	case <-ctx.Done():
	}
	ended := c.opts.Waiter.Until(context.WithoutCancel(ctx), wait.KindEnded, "kind to end after its nodes are deleted", func(context.Context) (bool, string, error) {
		err := c.provider.Delete(s.Name, c.Kubeconfig())
		select {
		case <-done:
			return true, "", nil
		default:
			return false, "it still makes the cluster", err
		}
	})
	return errors.Join(context.Cause(ctx), ended)
}

// outputLines is how much of a command's output helps to see why it failed.
const outputLines = 20

// printOutput prints the end of what the command said whose failure err is, if
// it is one. kind's errors name the command alone.
func printOutput(w io.Writer, err error) {
	failed, ok := errors.AsType[*exec.RunError](err)
	if !ok {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(failed.Output)), "\n")
	for _, line := range lines[max(0, len(lines)-outputLines):] {
		fmt.Fprintf(w, "kind     | %s\n", strings.TrimSpace(line))
	}
}

// node returns the worker.
func (c *Cluster) node() (nodes.Node, error) {
	all, err := c.provider.ListNodes(c.opts.Name)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.String() == c.worker() {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the cluster %s has no node %s", c.opts.Name, c.worker())
}

// onNode runs a command on the worker and returns what it prints.
func onNode(ctx context.Context, n nodes.Node, args ...string) (string, error) {
	var stdout, stderr strings.Builder
	err := n.CommandContext(ctx, args[0], args[1:]...).SetStdout(&stdout).SetStderr(&stderr).Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("on %s: %w: %s", n, err, oneline.Of(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}

// hasAll reports whether a node has all images of an archive already, which are the same if their ids are.
func hasAll(n nodes.Node, a images.Archive) bool {
	for _, name := range a.Images {
		want := a.IDs[name]
		if id, err := nodeutils.ImageID(n, name); err != nil || want == "" || id != want {
			return false
		}
	}
	return true
}

// load brings the archives onto the worker, on which all pods of the suite run.
func (c *Cluster) load(ctx context.Context, _ *state) error {
	n, err := c.node()
	if err != nil {
		return err
	}
	for _, a := range c.archives {
		if err := ctx.Err(); err != nil {
			return err
		}
		if hasAll(n, a) {
			fmt.Fprintf(c.opts.Progress, "kind     the worker has %s already\n", strings.Join(a.Images, ", "))
			continue
		}
		f, err := a.Open()
		if err != nil {
			return err
		}
		err = errors.Join(nodeutils.LoadImageArchive(n, f), f.Close())
		if err != nil {
			return fmt.Errorf("load %s: %w", a.Path, err)
		}
	}
	return nil
}
