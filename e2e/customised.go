package e2e

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/customise"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

// otherSize is that of the volume in the published example's overlay, or another
// if the base is about as large.
func otherSize(was resource.Quantity) resource.Quantity {
	size := resource.MustParse("500Mi")
	if v := was.Value(); v > size.Value()/2 && v < 2*size.Value() {
		size = *resource.NewQuantity((v/cache.MiB+256)*cache.MiB, resource.BinarySI)
	}
	return size
}

var _ = framework.ItEach(spec.Spec{
	Title:  "the documented overlay of the deployment changes namespace, size and arguments and nothing else",
	Covers: []spec.ReqID{"KUS-01", "KUS-02", "KUS-03", "KUS-05", "MC-07"},
	Level:  spec.Must, Tags: []string{"customised"}, Budget: 8 * time.Minute,
}.In(
	spec.Mode{ID: "KUS-01", Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume}},
	spec.Mode{ID: "KUS-01P", Profile: spec.Persistent},
), func(ctx context.Context, e *framework.Env) {
	plain := customise.Base(e)
	was, err := plain.Volume()
	e.Require("KUS-05", "the deployment has a volume for the memory file", plain.Dir, err, framework.Succeed)
	demo, size := e.Namespace+"-demo", otherSize(was.Size)
	overlay := customise.Overlay{Namespace: demo, Size: size, Args: []string{"--conn-limit=500"}}
	custom := customise.Render(e, overlay, customise.Current, "")

	e.Expect("KUS-01", "the overlay keeps kind and names of the workload and the Service", custom.Dir,
		[]string{custom.Kind, custom.Name, custom.Service}, gomega.Equal([]string{plain.Kind, plain.Name, plain.Service}))
	e.Expect("KUS-02", "the overlay moves every object that is in a namespace to its own", custom.Dir, namespaces(custom), gomega.ConsistOf(demo))
	expectRest(e, plain, custom, size)

	e.MakeNamespace(ctx, demo)
	d := e.Deploy(ctx, "KUS-01", customise.Render(e, overlay, customise.Current, demo))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "KUS-03", p)
	client := cache.Connect(ctx, e, p)
	settings := cache.Stats(ctx, e, client, "settings")
	e.Expect("MC-07", "--conn-limit=500 in the arguments for memcached takes effect (maxconns)", c.Name, settings["maxconns"], gomega.Equal("500"))
	// What a user may take of a small filesystem is about four fifths of its volume.
	e.Expect("KUS-05", "the memory file has between 60 and 100 % of the volume of the overlay (bytes)", c.Name, c.File.Size,
		gomega.And(gomega.BeNumerically(">=", size.Value()*6/10), gomega.BeNumerically("<=", size.Value())))
	e.Expect("KUS-05", "memcached's limit follows the memory file (maxbytes)", c.Name, settings["maxbytes"], gomega.Equal(fmt.Sprint(c.File.Size)))
})

// namespaces are those of the objects that are in one.
func namespaces(m *deploy.Manifest) []string {
	var found []string
	for _, o := range m.Objects {
		if n := o.GetNamespace(); n != "" && !slices.Contains(found, n) {
			found = append(found, n)
		}
	}
	return found
}

// expectRest compares what is next to the fields that the overlay names.
func expectRest(e *framework.Env, plain, custom *deploy.Manifest, size resource.Quantity) {
	was, err := plain.Volume()
	e.NoError(err, "find the volume in %s", plain.Dir)
	is, err := custom.Volume()
	e.NoError(err, "find the volume in %s", custom.Dir)
	e.Expect("KUS-05", "the overlay requests its size for the volume", custom.Dir, is.Size.String(), gomega.Equal(size.String()))
	is.Size = was.Size
	e.Expect("KUS-03", "the overlay changes nothing else of the volume", custom.Dir, is, gomega.Equal(was))
	_, before := plain.Container()
	_, after := custom.Container()
	for _, c := range []*corev1.Container{&before, &after} {
		c.Env, c.Args = nil, nil // which the overlay changes
	}
	e.Expect("KUS-03", "the overlay keeps image, ports and mounts of memcached", custom.Dir,
		[]any{after.Image, after.Ports, after.VolumeMounts}, gomega.Equal([]any{before.Image, before.Ports, before.VolumeMounts}))
	e.Expect("KUS-03", "the overlay keeps the init containers", custom.Dir, custom.InitContainers(), gomega.Equal(plain.InitContainers()))
}
