package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

const (
	overlay = "testdata/customised"
	base    = "../manifests/ephemeral"
)

var _ = framework.It(spec.Spec{
	ID: "KUS-01", Title: "the documented overlay changes namespace, size and arguments and nothing else",
	Covers: []spec.ReqID{"KUS-01", "KUS-02", "KUS-03", "KUS-05", "MC-07"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"customised"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	plain, custom := e.Render(base, ""), e.Render(overlay, "")
	object := "kustomization " + overlay
	e.Expect("KUS-01", "the overlay keeps kind and names of the workload and the Service", object,
		[]string{custom.Kind, custom.Name, custom.Service}, gomega.Equal([]string{plain.Kind, plain.Name, plain.Service}))
	e.Expect("KUS-02", "the overlay's namespace replaces default", object, custom.Namespace, gomega.Equal("demo"))
	for _, o := range custom.Objects {
		e.Expect("KUS-02", "the overlay moves every object to its namespace", object+", "+framework.Name(o.GetKind(), o), o.GetNamespace(), gomega.Equal("demo"))
	}
	was, err := plain.Volume()
	e.NoError(err, "find the volume in %s", base)
	is, err := custom.Volume()
	e.NoError(err, "find the volume in %s", overlay)
	size := resource.MustParse("500Mi")
	e.Expect("KUS-05", "the overlay requests 500Mi", object, is.Size.String(), gomega.Equal(size.String()))
	is.Size = was.Size
	e.Expect("KUS-03", "the overlay changes nothing else of the volume", object, is, gomega.Equal(was))
	e.Expect("KUS-03", "the overlay keeps the image", object, custom.Image(), gomega.Equal(plain.Image()))

	e.MakeNamespace(ctx, custom.Namespace)
	d := e.Deploy(ctx, "KUS-01", custom)
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "KUS-03", p)
	client := cache.Connect(ctx, e, p)
	settings := cache.Stats(ctx, e, client, "settings")
	e.Expect("MC-07", "--conn-limit=500 in MEMCACHED_ARGS reaches memcached (maxconns)", c.Name, settings["maxconns"], gomega.Equal("500"))
	e.Expect("KUS-05", "the memory file is larger than the volume of the base (bytes)", c.Name, c.File.Size, gomega.BeNumerically(">", was.Size.Value()))
	e.Expect("KUS-05", "memcached's limit follows the memory file (maxbytes)", c.Name, settings["maxbytes"], gomega.Equal(fmt.Sprint(c.File.Size)))
})
