package framework

import (
	"slices"
	"sync"

	"github.com/onsi/ginkgo/v2"
)

// Parallel runs parts of a spec's body in parallel and waits for all of them. A
// part that ends the spec does not end the others; the spec ends after them. Parts must not make namespaces.
func (e *Env) Parallel(parts ...func()) {
	ginkgo.GinkgoHelper()
	var group sync.WaitGroup
	whole := make([]bool, len(parts))
	for i, part := range parts {
		group.Go(func() {
			defer ginkgo.GinkgoRecover()
			part()
			whole[i] = true
		})
	}
	group.Wait()
	if slices.Contains(whole, false) {
		ginkgo.Fail(e.message())
	}
}
