// Package evidence collects what explains a failure, while the objects still exist, into a directory.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/redact"
)

const (
	fileBytes   = 1 << 20
	folderBytes = 32 << 20
	logLines    = 10_000
	stepLimit   = 20 * time.Second
	fewNodes    = 8

	indexFile = "index.txt"

	// driverSelector finds all pods of PMEM-CSI, deploy/kubernetes-1.25/pmem-csi-lvm.yaml of v1.1.0.
	driverSelector = "app.kubernetes.io/part-of=pmem-csi"
)

// Collect writes into dir, which is made if need be: the objects of the namespaces and of the cluster as
// YAML and described, events, logs of all containers and of their previous instances, statistics of
// running memcached servers, the logs of PMEM-CSI, and of the nodes with PMEM-CSI on which pods of the
// namespaces are, and of a few others, the kernel's messages, logical volumes, namespaces and mounts. Secrets are removed; secrets learns those that the
// namespaces have. A file holds at most 1 MiB, of longer ones the end is kept; all
// files together hold at most 32 MiB, and those that do not fit are left out.
//
// What was left out or could not be collected is listed in index.txt and is no error, unless nothing was
// collected at all or dir cannot be written.
func Collect(ctx context.Context, c *cluster.Cluster, secrets *redact.Redactor, dir string, namespaces []string) error {
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return fmt.Errorf("collecting evidence: %w", err)
	}
	col := &collector{cluster: c, dynamic: client, secrets: secrets, dir: dir, limit: folderBytes}
	return col.collect(ctx, namespaces)
}

type collector struct {
	cluster *cluster.Cluster
	dynamic dynamic.Interface
	secrets *redact.Redactor
	dir     string
	limit   int // bytes of all files; folderBytes but in tests

	written []string
	missing []string
	bytes   int   // in all files
	left    int   // files that did not fit
	broken  error // dir cannot be written
}

func (c *collector) collect(ctx context.Context, namespaces []string) error {
	start := time.Now()
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fmt.Errorf("collecting evidence: %w", err)
	}
	for _, ns := range namespaces {
		c.learn(ctx, ns)
	}
	for _, ns := range namespaces {
		c.events(ctx, ns)
		c.logs(ctx, ns, "")
		c.memcached(ctx, ns)
		c.objects(ctx, ns, namespaced)
		c.describe(ctx, ns, describedInNamespace)
	}
	c.driver(ctx, namespaces)
	c.nodes(ctx, namespaces)
	c.objects(ctx, "", clusterScoped)
	c.describe(ctx, "", describedInCluster)

	if err := c.index(start, namespaces); err != nil {
		return fmt.Errorf("collecting evidence: %w", err)
	}
	switch {
	case c.broken != nil:
		return fmt.Errorf("collecting evidence: %w", c.broken)
	case len(c.written) == 0:
		return fmt.Errorf("collecting evidence: nothing could be collected, see %s", filepath.Join(c.dir, indexFile))
	}
	return nil
}

func (c *collector) index(start time.Time, namespaces []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Evidence of namespaces %s, collected at %s in %s.\n", strings.Join(namespaces, ", "),
		start.UTC().Format(time.RFC3339), time.Since(start).Round(time.Millisecond))
	fmt.Fprintf(&b, "A file holds at most %d bytes; of longer ones the end was kept. All files hold at most %d bytes; %d did not fit.\n",
		fileBytes, c.limit, c.left)
	fmt.Fprintf(&b, "Keys, tokens, passwords and the values of Secrets are replaced by %s; an empty one stays empty.\n", redact.Mark)
	fmt.Fprintf(&b, "\nCollected, %d files of %d bytes:\n", len(c.written), c.bytes)
	slices.Sort(c.written)
	for _, line := range c.written {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintf(&b, "\nNot collected, %d:\n", len(c.missing))
	for _, line := range c.missing {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return os.WriteFile(filepath.Join(c.dir, indexFile), []byte(c.secrets.Text(b.String())), 0o644)
}

// step runs one collection with a limit of its own and files its outcome under path. An empty text
// is not worth a file.
func (c *collector) step(ctx context.Context, path string, produce func(context.Context) (string, error)) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	text, err := produce(ctx)
	if err != nil {
		c.miss(path, err)
	}
	if text != "" {
		c.write(path, text)
	}
}

func (c *collector) miss(path string, err error) {
	c.missing = append(c.missing, fmt.Sprintf("%s: %s", path, oneline.Words(err.Error())))
}

func (c *collector) write(path, text string) {
	// What is cut off anyway is not worth the time to redact it.
	kept := tail(c.secrets.Text(string(tail(text, 4*fileBytes))), fileBytes)
	if c.bytes+len(kept) > c.limit {
		c.left++
		c.miss(path, fmt.Errorf("left out: its %d bytes do not fit into the %d that all files may have, of which %d are taken", len(kept), c.limit, c.bytes))
		return
	}
	full := filepath.Join(c.dir, filepath.FromSlash(path))
	err := os.MkdirAll(filepath.Dir(full), 0o755)
	if err == nil {
		err = os.WriteFile(full, kept, 0o644)
	}
	if err != nil {
		c.broken = errors.Join(c.broken, err)
		c.miss(path, err)
		return
	}
	c.bytes += len(kept)
	c.written = append(c.written, path)
}

// tail returns the last bytes of text, from the start of a line, with a note of what is left out.
func tail(text string, limit int) []byte {
	if len(text) <= limit {
		return []byte(text)
	}
	const note = "[the first %d bytes are left out]\n"
	keep := max(0, limit-len(fmt.Sprintf(note, len(text))))
	kept := text[len(text)-keep:]
	if _, after, ok := strings.Cut(kept, "\n"); ok && after != "" {
		kept = after
	}
	return fmt.Appendf(nil, note+"%s", len(text)-len(kept), kept)
}

func (c *collector) logs(ctx context.Context, ns, selector string) {
	dir := ns + "/logs"
	limited, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	pods, err := c.cluster.Client.CoreV1().Pods(ns).List(limited, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		c.miss(dir, err)
		return
	}
	for _, pod := range pods.Items {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses) {
			base := dir + "/" + pod.Name + "_" + status.Name
			if status.State.Waiting == nil {
				c.step(ctx, base+".log", func(ctx context.Context) (string, error) {
					return c.cluster.LogTail(ctx, ns, pod.Name, status.Name, false, logLines)
				})
			}
			if status.LastTerminationState.Terminated != nil {
				c.step(ctx, base+".previous.log", func(ctx context.Context) (string, error) {
					return c.cluster.LogTail(ctx, ns, pod.Name, status.Name, true, logLines)
				})
			}
		}
	}
}

// driver collects logs and events of PMEM-CSI in namespaces that were not collected as a whole.
func (c *collector) driver(ctx context.Context, done []string) {
	limited, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	pods, err := cluster.Items(limited, metav1.ListOptions{LabelSelector: driverSelector}, c.cluster.Client.CoreV1().Pods(metav1.NamespaceAll).List,
		func(l *corev1.PodList) []corev1.Pod { return l.Items })
	if err != nil {
		c.miss("logs of PMEM-CSI", err)
		return
	}
	if len(pods) == 0 {
		c.miss("logs of PMEM-CSI", fmt.Errorf("no pod is labelled %s", driverSelector))
	}
	done = slices.Clone(done)
	for _, pod := range pods {
		if slices.Contains(done, pod.Namespace) {
			continue
		}
		done = append(done, pod.Namespace)
		c.events(ctx, pod.Namespace)
		c.logs(ctx, pod.Namespace, driverSelector)
		c.objects(ctx, pod.Namespace, ofDriver)
		c.describe(ctx, pod.Namespace, describedOfDriver)
	}
}

// nodes collects from nodes with PMEM-CSI: those on which pods of the namespaces are, and of the others a few.
func (c *collector) nodes(ctx context.Context, namespaces []string) {
	limited, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	drivers, unready, err := pmem.FindNodeDrivers(limited, c.cluster)
	if err != nil {
		c.miss("nodes", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(unready)) {
		c.miss(nodeDir(name), unready[name])
	}
	chosen := choose(drivers, c.inUse(limited, namespaces))
	if left := len(drivers) - len(chosen); left > 0 {
		c.miss("nodes", fmt.Errorf("%d more nodes with PMEM-CSI, on which no pod of the namespaces is", left))
	}
	for _, driver := range chosen {
		c.node(ctx, driver)
	}
}

// choose returns the drivers on the nodes in use, and some others, which make them a few.
func choose(drivers []*pmem.NodeDriver, inUse []string) []*pmem.NodeDriver {
	others := fewNodes - len(inUse)
	return slices.DeleteFunc(slices.Clone(drivers), func(d *pmem.NodeDriver) bool {
		if slices.Contains(inUse, d.Node) {
			return false
		}
		others--
		return others < 0
	})
}

// inUse names the nodes of the pods in the namespaces.
func (c *collector) inUse(ctx context.Context, namespaces []string) []string {
	var names []string
	for _, ns := range namespaces {
		pods, err := c.cluster.Client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			c.miss("nodes of namespace "+ns, err)
			continue
		}
		for _, pod := range pods.Items {
			if pod.Spec.NodeName != "" && !slices.Contains(names, pod.Spec.NodeName) {
				names = append(names, pod.Spec.NodeName)
			}
		}
	}
	return names
}

func nodeDir(name string) string { return "nodes/" + name + "/" }

func (c *collector) node(ctx context.Context, driver *pmem.NodeDriver) {
	dir := nodeDir(driver.Node)
	c.step(ctx, dir+"dmesg.txt", func(ctx context.Context) (string, error) { return c.dmesg(ctx, driver) })
	for _, what := range []string{"lvs", "vgs", "ndctl", "mounts"} {
		c.step(ctx, dir+what+".txt", func(ctx context.Context) (string, error) { return driver.Report(ctx, what) })
	}
}

// sharedKernel begins the provider id of nodes that are containers of kind: their kernel is that of the machine
// that the suite runs on.
const sharedKernel = "kind://"

// dmesg returns the messages of a node's kernel, and of one that others use, too, only those since the node was made.
func (c *collector) dmesg(ctx context.Context, driver *pmem.NodeDriver) (string, error) {
	node, err := c.cluster.Client.CoreV1().Nodes().Get(ctx, driver.Node, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(node.Spec.ProviderID, sharedKernel) {
		return driver.DmesgSince(ctx, node.CreationTimestamp.Time)
	}
	return driver.Dmesg(ctx)
}
