// Package details asks a lab for more than its status: what it was made of, and
// what its nodes have and run.
package details

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/pmem"
)

// Details are what a lab reports about itself beyond its Status. What could not
// be found out has the reason in its place.
type Details struct {
	// Phases are those of the Up that made the lab, and how long they took.
	Phases []state.Phase
	// Made names what was chosen or found when the lab was made: versions,
	// accelerator.
	Made []Fact
	// Nodes are those of the Status, in the same order.
	Nodes []Node
}

// Fact is a name and a value for people.
type Fact struct{ Name, Value string }

// Node are what a node has and runs.
type Node struct {
	Name string
	// Programs are the versions of what runs on the node.
	Programs []Fact
	// Storage is what the driver says of its persistent memory.
	Storage string
}

// limit is how long all questions together may take: what does not
// answer by then is reported as such.
const limit = 5 * time.Second

// Of asks for the details of the nodes that the machines are, of which states
// are what is known of their power. What cannot be known of the lab is in the
// details, too.
func Of(ctx context.Context, file *state.File, machines []vm.Machine, states []vm.Power) Details {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d := Details{Nodes: make([]Node, len(machines))}
	known, err := file.Read()
	if err != nil {
		d.Made = append(d.Made, Fact{"lab", err.Error()})
	}
	if known.Made() {
		d.Made = append(d.Made, Fact{"kubernetes", known.Versions.Kubernetes}, Fact{"memcached", strings.Join(known.Versions.Memcached, ", ")})
	}
	if known.Plan.Accel != "" {
		d.Made = append(d.Made, Fact{"mode of the driver", string(known.Plan.Driver)}, Fact{"accelerator", known.Plan.Accel})
	}
	d.Phases = known.Phases
	var asking sync.WaitGroup
	for i, m := range machines {
		asking.Go(func() { d.Nodes[i] = ask(ctx, m, states[i]) })
	}
	asking.Wait()
	return d
}

func ask(ctx context.Context, m vm.Machine, power vm.Power) Node {
	d := Node{Name: m.Name()}
	if power != vm.Running && power != vm.Paused {
		d.Storage = "not known: the node is " + string(power)
		return d
	}
	var q struct {
		QEMU struct{ Major, Minor, Micro int } `json:"qemu"`
	}
	if err := m.Ask(ctx, qmp.Command{Execute: "query-version"}, &q); err != nil {
		d.Programs = append(d.Programs, Fact{"qemu", err.Error()})
	} else {
		d.Programs = append(d.Programs, Fact{"qemu", fmt.Sprintf("%d.%d.%d", q.QEMU.Major, q.QEMU.Minor, q.QEMU.Micro)})
	}
	if power == vm.Paused {
		d.Storage = "not known: the node is paused"
		return d
	}
	client, err := plane.Client(m.Dir)
	if err != nil {
		d.Storage = "not known: " + err.Error()
		return d
	}
	object, err := client.CoreV1().Nodes().Get(ctx, m.Name(), metav1.GetOptions{})
	if err != nil {
		d.Storage = "not known: the API server was asked: " + reason(ctx, err)
		return d
	}
	info := object.Status.NodeInfo
	d.Programs = append(d.Programs, Fact{"kernel", info.KernelVersion}, Fact{"system", info.OSImage},
		Fact{"kubelet", info.KubeletVersion}, Fact{"containerd", strings.TrimPrefix(info.ContainerRuntimeVersion, "containerd://")})
	driver, err := pmem.FindNodeDriver(ctx, &cluster.Cluster{Client: client}, m.Name())
	if err != nil {
		d.Storage = "not known: " + reason(ctx, err)
		return d
	}
	if pod, err := client.CoreV1().Pods(driver.Namespace).Get(ctx, driver.Pod, metav1.GetOptions{}); err == nil {
		d.Programs = append(d.Programs, Fact{"pmem-csi", driverVersion(pod)})
	}
	managed, available, err := driver.Amounts(ctx)
	if err != nil {
		d.Storage = "not known: " + reason(ctx, err)
		return d
	}
	d.Storage = fmt.Sprintf("%d MiB, of which the driver manages %d: %d used, %d free",
		m.Plan.PMEM, managed>>20, (managed-available)>>20, available>>20)
	return d
}

// driverVersion is the tag of the driver's image.
func driverVersion(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if c.Name == pmem.NodeDriverContainer {
			return c.Image[strings.LastIndex(c.Image, ":")+1:]
		}
	}
	return "not known"
}

// reason says no more than that time was up, if that is so.
func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return fmt.Sprintf("no answer in %s", limit)
	}
	return oneline.Of(err.Error())
}

// String describes all of it, a line for each.
func (d Details) String() string {
	var b strings.Builder
	for _, f := range d.Made {
		fmt.Fprintf(&b, "made of    %-24s %s\n", f.Name, f.Value)
	}
	for _, n := range d.Nodes {
		for _, f := range n.Programs {
			fmt.Fprintf(&b, "%-10s %-24s %s\n", n.Name, f.Name, cmp.Or(f.Value, "not known"))
		}
		fmt.Fprintf(&b, "%-10s %-24s %s\n", n.Name, "persistent memory", n.Storage)
	}
	var all time.Duration
	for _, p := range d.Phases {
		fmt.Fprintf(&b, "phase      %-24s %5.1fs\n", p.Name, p.Took.Seconds())
		all += p.Took
	}
	if all > 0 {
		fmt.Fprintf(&b, "phase      %-24s %5.1fs\n", "all", all.Seconds())
	}
	return b.String()
}
