package framework

import (
	"slices"
	"sync"

	"github.com/onsi/ginkgo/v2"
)

// Together runs parts of a spec's body side by side and waits for all of them.
// A part that ends the spec leaves the others to come to their own end; then
// the spec ends. Parts must not make namespaces.
func (e *Env) Together(parts ...func()) {
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
