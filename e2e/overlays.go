package e2e

import (
	"context"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

const (
	deprecated   = "testdata/deprecated"
	renamed      = "testdata/renamed"
	absentDriver = "absent.pmem-memcached-e2e.example"
)

var _ = framework.It(spec.Spec{
	ID: "KUS-04", Title: "overlays in either form, with other names, labels, image and quoted arguments, take effect",
	Covers: []spec.ReqID{"KUS-01", "KUS-04", "KUS-06", "MC-07"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"customised"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	e.Expect("KUS-04", "the deprecated form renders the same objects as the current one", "kustomizations "+deprecated+" and "+overlay,
		e.Render(deprecated, "").Objects, gomega.Equal(e.Render(overlay, "").Objects))

	absent := e.Namespace + "-absent"
	e.MakeNamespace(ctx, absent)
	driverless := workload.Apply(ctx, e, spec.Ephemeral, deploy.Changes{Namespace: absent, Inline: deploy.InlineChange{Driver: absentDriver}})

	m := e.Render(renamed, e.Namespace)
	object := "kustomization " + renamed
	e.Expect("KUS-01", "the names of the workload and the Service have the prefix", object, []string{m.Name, m.Service},
		gomega.Equal([]string{"team-pmem-memcached", "team-pmem-memcached"}))
	p := workload.Pod(ctx, e, e.Deploy(ctx, "KUS-01", m))
	name := framework.Name("pod", p)
	e.Expect("KUS-01", "the pod has the label", name, p.Labels, gomega.HaveKeyWithValue("team", "blue"))
	args := cache.Process(ctx, e, p).Args
	e.Expect("MC-07", "an argument in quotes may contain a blank", name, args, gomega.ContainElement("no body"))
	settings := cache.Stats(ctx, e, cache.Connect(ctx, e, p), "settings")
	e.Expect("MC-07", "an argument in single quotes takes effect (maxconns)", name, settings["maxconns"], gomega.Equal("321"))
	e.Expect("MC-07", "an argument on the next line takes effect (num_threads)", name, settings["num_threads"], gomega.Equal("2"))

	waiting := workload.FirstPod(ctx, e, driverless)
	name = framework.Name("pod", waiting)
	e.Expect("KUS-06", "the name of the driver can be patched", name, inlineDrivers(waiting), gomega.ConsistOf(absentDriver))
	_, err := events.AwaitWarning(ctx, e, "pod", waiting, "FailedMount", absentDriver)
	e.Expect("KUS-06", "an event names the driver that is absent", name, err, framework.Succeed)
	e.Expect("KUS-06", "a pod without a driver does not start", name, workload.FirstPod(ctx, e, driverless).Status.Phase, gomega.Equal(corev1.PodPending))
})

func inlineDrivers(p *corev1.Pod) []string {
	var names []string
	for _, v := range p.Spec.Volumes {
		if v.CSI != nil {
			names = append(names, v.CSI.Driver)
		}
	}
	return names
}
