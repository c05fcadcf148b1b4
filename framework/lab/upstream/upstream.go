// Package upstream asks the sources of the lab's programs what there is, to be
// compared with what is pinned.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"pmem-memcached-e2e/framework/lab/artifact"
)

// Release compares what is pinned of a program with what its source has.
type Release struct {
	Program string
	// From names the source.
	From   string
	Pinned string
	// Patch is the newest release with the pinned major and minor version,
	// Newest the newest of all. They are empty where the source has no such
	// thing or could not be asked.
	Patch, Newest string
	// Err is why the source could not be asked.
	Err error
}

// askLimit is how long a source has to answer: a suite's list of packages has
// 10 MB.
const askLimit = 2 * time.Minute

// Ask returns a release for each program that the checkout at root pins. What
// could not be asked is reported in its Err.
func Ask(ctx context.Context, root string) []Release {
	modules, suites := artifact.Pins(), artifact.SuitePins()
	releases := make([]Release, len(modules)+len(suites))
	var g errgroup.Group
	g.SetLimit(4) // they wait for the network
	for i, pin := range modules {
		g.Go(func() error {
			releases[i] = limited(ctx, func(ctx context.Context) Release { return askGo(ctx, root, pin) })
			return nil
		})
	}
	for i, pin := range suites {
		g.Go(func() error {
			releases[len(modules)+i] = limited(ctx, func(ctx context.Context) Release { return askDebian(ctx, pin) })
			return nil
		})
	}
	g.Wait()
	return releases
}

func limited(ctx context.Context, ask func(context.Context) Release) Release {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("no answer in %s", askLimit))
	defer cancel()
	r := ask(ctx)
	if r.Err != nil && ctx.Err() != nil {
		r.Err = context.Cause(ctx)
	}
	return r
}

// lastWords returns what a program that failed has said, or else err.
func lastWords(err error, said string) error {
	if said == "" {
		return err
	}
	return errors.New(said)
}
