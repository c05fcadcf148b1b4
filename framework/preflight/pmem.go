package preflight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	storagev1 "k8s.io/api/storage/v1"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/pmem"
)

const (
	nodesAtOnce = 8
	nodeLimit   = time.Minute // for the question to one node

	makeRoom = "remove volumes that are not needed, prepare more persistent memory, or ask for a smaller volume"
	askNodes = "let the user of the kubeconfig list csistoragecapacities and run commands in the pods of PMEM-CSI"
)

// room is how large a volume can be, and where.
type room struct {
	bytes int64
	where string
	known bool
	why   error // when it is not known
}

// better keeps the larger of what is known.
func (r *room) better(o room) {
	if o.known && (!r.known || o.bytes > r.bytes) {
		r.bytes, r.where, r.known = o.bytes, o.where, true
	}
	r.why = errors.Join(r.why, o.why)
}

// checkPMEM examines that each volume fits onto one of the nodes: by what is
// free on them, and by what the scheduler goes by for claims.
func checkPMEM(ctx context.Context, s Subject) finding {
	return examinePMEM(ctx, s, func(ctx context.Context, d *pmem.NodeDriver) (int64, error) { return d.Free(ctx) })
}

func examinePMEM(ctx context.Context, s Subject, free func(context.Context, *pmem.NodeDriver) (int64, error)) finding {
	onNodes := roomOnNodes(ctx, s, free)
	var findings []finding
	for _, m := range s.Manifests {
		findings = append(findings, fits(ctx, s, m, onNodes))
	}
	if len(findings) == 0 {
		return unknown("select specs that deploy something", "there is no manifest")
	}
	return all(findings...)
}

func fits(ctx context.Context, s Subject, m *deploy.Manifest, onNodes map[string]room) finding {
	driver, v, err := driverOf(ctx, s, m)
	title := fmt.Sprintf("%s/%s in %s", m.Kind, m.Name, m.Dir)
	switch {
	case err != nil:
		return unknown("fix the storage class first", "could not determine the driver of %s: %v", title, err)
	case driver == "":
		return unknown("mount a CSI volume, an ephemeral volume or a claim", "%s has no volume of a CSI driver", title)
	case v.Size.IsZero():
		return unknown("write the size into the manifest", "%s does not state the size of its volume", title)
	}
	node, ok := onNodes[driver]
	if !ok {
		node.why = onNodes[""].why
		if node.why == nil {
			node.why = fmt.Errorf("no pod of PMEM-CSI belongs to the driver %s", driver)
		}
	}
	published := roomPublished(ctx, s, v)
	size := v.Size.Value()
	switch {
	case node.known && node.bytes < size:
		return failed(makeRoom, "%s wants a volume of %s, and node %s has the most free with %d MiB", title, v.Size.String(), node.where, node.bytes>>20)
	case published.known && published.bytes < size && node.known:
		return failed("restart the driver's pod on that node, which then publishes what it has",
			"%s wants a volume of %s, and the driver publishes at most %d MiB for class %s, although node %s has %d MiB free",
			title, v.Size.String(), published.bytes>>20, v.Class, node.where, node.bytes>>20)
	case published.known && published.bytes < size:
		return failed(makeRoom, "%s wants a volume of %s, and the driver publishes at most %d MiB for class %s", title, v.Size.String(), published.bytes>>20, v.Class)
	case node.known:
		return passed("%s for %s, %d MiB free on node %s", v.Size.String(), title, node.bytes>>20, node.where)
	case published.known:
		return passed("%s for %s, the driver publishes %d MiB for class %s", v.Size.String(), title, published.bytes>>20, v.Class)
	}
	return unknown(askNodes, "could not determine how much persistent memory is free for %s: %v", title, errors.Join(node.why, published.why))
}

// roomOnNodes asks the nodes, by the name of the driver on them. What is known
// of no driver is under the empty name.
func roomOnNodes(ctx context.Context, s Subject, free func(context.Context, *pmem.NodeDriver) (int64, error)) map[string]room {
	drivers, unready, err := pmem.FindNodeDrivers(ctx, s.Cluster)
	if err != nil {
		return map[string]room{"": {why: err}}
	}
	rooms := make([]room, len(drivers))
	slots := make(chan struct{}, nodesAtOnce)
	var asking sync.WaitGroup
	for i, d := range drivers {
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			limited, cancel := context.WithTimeout(ctx, nodeLimit)
			defer cancel()
			bytes, err := free(limited, d)
			rooms[i] = room{bytes: bytes, where: d.Node, known: err == nil, why: err}
		})
	}
	asking.Wait()
	found := map[string]room{}
	for i, d := range drivers {
		best := found[d.Name]
		best.better(rooms[i])
		found[d.Name] = best
	}
	var none room
	for _, err := range unready {
		none.why = errors.Join(none.why, err)
	}
	found[""] = none
	return found
}

// roomPublished is what the driver has published for the class of a claim, by
// which the scheduler decides. Inline volumes have none.
func roomPublished(ctx context.Context, s Subject, v deploy.Volume) room {
	if v.Source == deploy.Inline {
		return room{}
	}
	all, err := s.Cluster.Capacities(ctx)
	if err != nil {
		return room{why: fmt.Errorf("list the CSIStorageCapacities: %w", err)}
	}
	var best room
	for _, c := range all {
		if bytes, ok := largest(c); ok && c.StorageClassName == v.Class {
			best.better(room{bytes: bytes, where: c.Name, known: true})
		}
	}
	if !best.known {
		best.why = fmt.Errorf("the driver publishes no capacity for class %s", v.Class)
	}
	return best
}

// largest is the size of the largest volume, as the scheduler reads it.
func largest(c storagev1.CSIStorageCapacity) (int64, bool) {
	switch {
	case c.MaximumVolumeSize != nil:
		return c.MaximumVolumeSize.Value(), true
	case c.Capacity != nil:
		return c.Capacity.Value(), true
	}
	return 0, false
}
