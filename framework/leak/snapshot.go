package leak

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/metadata"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/fault"
)

const (
	// partLimit bounds the reading of one part, at any wait scale: a node that does not answer must not
	// take the time of the others.
	partLimit = 30 * time.Second

	listsAtOnce = 8
	nodesAtOnce = 8

	inCluster  = "cluster"
	everywhere = "all nodes"
)

// Take makes a snapshot: it lists the API's objects and runs one command on every node with the
// driver, all at the same time. What could not be read is in Unread; it is an error only when ctx
// has ended, or when nothing was read at all.
func Take(ctx context.Context, c *cluster.Cluster, scope Scope) (Snapshot, error) {
	meta, err := metadata.NewForConfig(c.Config)
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot of the cluster: %w", err)
	}
	t := &taker{
		cluster: c, metadata: meta, scope: scope,
		snapshot: Snapshot{Taken: time.Now(), items: map[key]item{}, read: sets.New[part]()},
		lists:    make(chan struct{}, listsAtOnce),
	}
	return t.take(ctx)
}

type taker struct {
	cluster  *cluster.Cluster
	metadata metadata.Interface
	scope    Scope
	lists    chan struct{} // tokens
	own      []string      // namespaces of the run that are there, unless the scope is exclusive

	mu       sync.Mutex
	snapshot Snapshot
	objects  []object
	nodes    []node
}

func (t *taker) take(ctx context.Context) (Snapshot, error) {
	var wg sync.WaitGroup
	t.readObjects(ctx, &wg)
	wg.Go(func() { t.readNodes(ctx) })
	wg.Wait()
	if ctx.Err() != nil {
		return Snapshot{}, fmt.Errorf("snapshot of the cluster: %w", context.Cause(ctx))
	}
	t.addObjects()
	t.addNodes(ctx)
	s := t.snapshot
	slices.SortFunc(s.Unread, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.View, b.View), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Part, b.Part))
	})
	if len(s.read) == 0 {
		return Snapshot{}, fmt.Errorf("snapshot of the cluster: nothing could be read; first: %s", s.Unread[0])
	}
	return s, nil
}

// readPart runs read within its limit and files whether it went well.
func (t *taker) readPart(ctx context.Context, p part, read func(context.Context) error) {
	limited, cancel := context.WithTimeoutCause(ctx, partLimit, fmt.Errorf("no answer within %s", partLimit))
	defer cancel()
	err := read(limited)
	if err != nil && limited.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(limited), err)
	}
	t.filed(p, err)
}

func (t *taker) filed(p part, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.snapshot.Unread = append(t.snapshot.Unread, Gap{View: p.view, Where: p.where, Part: p.name, Why: err.Error(), lasting: fault.Lasting(err)})
		return
	}
	t.snapshot.read.Insert(p)
}
