package framework

import (
	"context"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework/spec"
)

// awaitOthers has the first of several processes wait for the end of the others.
func (s *suite) awaitOthers(ctx ginkgo.SpecContext) error {
	if s.config.Lane > 0 {
		return nil
	}
	_, err := s.lane.Take(ctx, "", true)
	return err
}

// awaitTurn waits until the spec may run, and leaves out one that another
// process runs.
func (s *suite) awaitTurn(ctx context.Context, sp spec.Spec) {
	mine, err := s.lane.Take(ctx, sp.ID, sp.RunsAlone())
	switch {
	case err != nil:
		ginkgo.Fail(err.Error())
	case !mine:
		ginkgo.Skip("another process runs it")
	case sp.RunsAlone():
		s.leaks.alone(ctx)
	}
}
