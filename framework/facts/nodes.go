package facts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

const (
	nodesAtOnce = 8
	nodeLimit   = time.Minute // for the questions to one node
)

// nodes reports on the nodes with the driver, and decides whether they can be
// asked from within.
func (p *prober) nodes(ctx context.Context) (facts, []nodeDriver) {
	var reported facts
	all, err := p.cluster.Nodes(ctx)
	if err != nil {
		p.unread("cluster", "nodes", err)
	} else {
		p.add("cluster", "nodes", fmt.Sprint(len(all)), "list of nodes")
	}
	drivers, unready, err := pmem.FindNodeDrivers(ctx, p.cluster)
	if none, ok := errors.AsType[*pmem.NoneError](err); ok {
		why := none.Why
		p.add("cluster", "nodes with the driver", "0", why)
		p.unseen(why, "label the pods of PMEM-CSI on the nodes as its own deployment does", spec.NodeAccess, spec.SecondNode)
		return nil, nil
	}
	if err != nil {
		p.unread("cluster", "nodes with the driver", err)
		p.unseen(oneline.Words(err.Error()), "let the user of the kubeconfig list pods in all namespaces", spec.NodeAccess, spec.SecondNode)
		return nil, nil
	}
	p.add("cluster", "nodes with the driver", fmt.Sprint(len(drivers)+len(unready)), "pods labelled "+pmem.NodeDriverSelector)
	p.secondNode(all, drivers, unready)
	for _, node := range sorted(unready) {
		reported.unread("node "+node, "driver", unready[node])
	}

	asked := make([]facts, len(drivers))
	found := make([]nodeDriver, len(drivers))
	errs := make([]error, len(drivers))
	var asking errgroup.Group
	asking.SetLimit(nodesAtOnce)
	var answered atomic.Int32
	p.show(fmt.Sprintf("the driver's pods on %d nodes", len(drivers)))
	for i, driver := range drivers {
		found[i].driver, found[i].pod = driver, driver.Object
		asking.Go(func() error { // what a node does not answer stops nothing
			limited, cancel := context.WithTimeout(ctx, nodeLimit)
			defer cancel()
			asked[i].status(all, driver.Node)
			platform, err := p.platform(limited, driver)
			p.show(fmt.Sprintf("the driver's pods on %d nodes: %d answered", len(drivers), answered.Add(1)))
			if err != nil {
				asked[i].unread("node "+driver.Node, "machine", err)
				errs[i] = err
				return nil
			}
			asked[i].machine(driver, platform)
			found[i].version = platform.Version
			return nil
		})
	}
	_ = asking.Wait()
	p.nodeAccess(ctx, drivers, errs)
	return slices.Concat(append(asked, reported)...), found
}

func (p *prober) unseen(why, remedy string, features ...spec.Feature) {
	for _, f := range features {
		p.features[f] = spec.Support{Presence: spec.Unseen, Evidence: why, Remedy: remedy}
	}
}

// secondNode is decided by where pods with a volume can go now. A second node
// that takes none at the moment is not one that is absent.
func (p *prober) secondNode(nodes []corev1.Node, drivers []*pmem.NodeDriver, unready map[string]error) {
	var accepting, closed []string
	for _, driver := range drivers {
		if slices.ContainsFunc(nodes, func(n corev1.Node) bool { return n.Name == driver.Node && !n.Spec.Unschedulable }) {
			accepting = append(accepting, driver.Node)
		} else {
			closed = append(closed, driver.Node)
		}
	}
	closed = append(closed, sorted(unready)...)
	evidence := fmt.Sprintf("nodes with the driver that accept pods: %d (%s)", len(accepting), words(strings.Join(accepting, ", "), 100))
	switch {
	case len(nodes) == 0:
		p.unseen("the nodes could not be listed", "let the user of the kubeconfig list nodes", spec.SecondNode)
	case len(accepting) > 1:
		p.features[spec.SecondNode] = spec.Support{Presence: spec.Supported, Evidence: evidence}
	case len(accepting)+len(closed) > 1:
		others := words(strings.Join(closed, ", "), 100)
		p.unseen(evidence+"; others: "+others, "see that these nodes are listed and not cordoned, and that the driver is Ready on them: "+others, spec.SecondNode)
	default:
		p.features[spec.SecondNode] = spec.Support{Presence: spec.Absent, Evidence: evidence}
	}
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// nodeAccess is decided by having tried it. Pods that are not Ready now, and
// questions that the run's end cut short, decide nothing.
func (p *prober) nodeAccess(ctx context.Context, drivers []*pmem.NodeDriver, errs []error) {
	for i, driver := range drivers {
		if errs[i] == nil {
			p.features[spec.NodeAccess] = spec.Support{Presence: spec.Supported,
				Evidence: fmt.Sprintf("commands run in pod %s/%s on node %s", driver.Namespace, driver.Pod, driver.Node)}
			return
		}
	}
	err := errors.Join(errs...)
	if err == nil || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	p.unseen(oneline.Words(err.Error()), "allow the user of the kubeconfig to run commands in the driver's pods (create on pods/exec, and what admission policies decide about it)", spec.NodeAccess)
}

func (f *facts) status(nodes []corev1.Node, name string) {
	i := slices.IndexFunc(nodes, func(n corev1.Node) bool { return n.Name == name })
	if i < 0 {
		return
	}
	node := nodes[i]
	info := node.Status.NodeInfo
	for _, fact := range []struct{ name, value string }{
		{"kernel", info.KernelVersion}, {"system", info.OSImage}, {"container runtime", info.ContainerRuntimeVersion},
		{"kubelet", info.KubeletVersion}, {"architecture", info.Architecture},
		{"processors", node.Status.Capacity.Cpu().String()}, {"memory", size(node.Status.Capacity.Memory().Value())},
	} {
		if fact.value != "" {
			f.add("node "+name, fact.name, fact.value, "status of node "+name)
		}
	}
}

func (f *facts) machine(driver *pmem.NodeDriver, p pmem.Platform) {
	group, from := "node "+driver.Node, fmt.Sprintf("in pod %s/%s: ", driver.Namespace, driver.Pod)
	add := func(part, name, value, evidence string) {
		if err := p.Unread[part]; err != nil {
			f.unread(group, name, fmt.Errorf("%s%s: %w", from, evidence, err))
			return
		}
		f.add(group, name, value, from+evidence)
	}
	add(pmem.PartProcessor, "processor", p.CPU, "/proc/cpuinfo")
	add(pmem.PartFirmware, "machine", p.Machine, "/sys/class/dmi/id")
	add("", report.FactAccelerator, orUnknown(p.Accelerator), "/proc/cpuinfo, dmesg, clock sources")

	e, what := p.Emulation()
	f.add(group, report.FactEmulated, string(e), from+"ndctl list -B, /proc/cmdline, /proc/cpuinfo")
	add(pmem.PartBuses, report.FactMemory, what, "ndctl list -BDRi, /proc/cmdline, /proc/cpuinfo, /sys/class/dmi/id")
	for _, bus := range p.Buses {
		for _, r := range bus.Regions {
			f.add(group, "region "+r.Dev, fmt.Sprintf("%s %s by %s", size(r.Size), r.Type, bus.Provider), from+"ndctl list -BDRi")
		}
	}
	if err := p.Unread[pmem.PartGroups]; err != nil {
		f.unread(group, "volume groups", fmt.Errorf("%svgs: %w", from, err))
	}
	for _, vg := range p.Groups {
		f.add(group, "volume group "+vg.Name, size(vg.Size), from+"vgs")
		f.add(group, "free in volume group "+vg.Name, size(vg.Free), from+"vgs")
	}
}

func orUnknown(value string) string {
	if value == "" {
		return unknown
	}
	return value
}

// size is in MiB, rounded down.
func size(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// words cuts what is too long for a line.
func words(text string, limit int) string {
	text = oneline.Words(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + " ..."
}
