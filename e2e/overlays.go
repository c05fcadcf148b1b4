package e2e

import (
	"context"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/customise"
	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

const (
	absentDriver = "absent.pmem-memcached-e2e.example"
	otherImage   = "registry.example/team/memcached:overlay" // which is never pulled
)

var _ = framework.ItEach(spec.Spec{
	Title:  "overlays of the deployment in either form, with other names, labels, image, driver and quoted arguments, take effect",
	Covers: []spec.ReqID{"KUS-01", "KUS-04", "KUS-06", "MC-07"},
	Level:  spec.Must, Tags: []string{"customised"}, Budget: 8 * time.Minute,
}.In(
	spec.Mode{ID: "KUS-04", Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume}},
	spec.Mode{ID: "KUS-04P", Profile: spec.Persistent},
), func(ctx context.Context, e *framework.Env) {
	plain := customise.Base(e)
	v, err := plain.Volume()
	e.Require("KUS-06", "the deployment has a volume for the memory file", plain.Dir, err, framework.Succeed)
	both := customise.Overlay{Namespace: e.Namespace, Size: otherSize(v.Size), Args: []string{"--conn-limit=500"}}
	e.Expect("KUS-04", "the deprecated form renders the same objects as the current one", plain.Dir,
		customise.Render(e, both, customise.Deprecated, "").Objects, gomega.Equal(customise.Render(e, both, customise.Current, "").Objects))
	e.Expect("KUS-01", "the image of an overlay replaces memcached's", plain.Dir, customise.Image(e, customise.Overlay{Image: otherImage}), gomega.Equal(otherImage))

	expectRefusal := withoutDriver(ctx, e, v)

	overlay := customise.Overlay{Prefix: "team-", Labels: map[string]string{"team": "blue"},
		// A user's name means nothing to a memcached that is not started by root.
		Args: []string{"-u", "no body", "--conn-limit=321", "-t", "2"}}
	m := customise.Render(e, overlay, customise.Current, e.Namespace)
	e.Expect("KUS-01", "the names of the workload and the Service have the prefix", m.Dir, []string{m.Name, m.Service},
		gomega.Equal([]string{"team-" + plain.Name, "team-" + plain.Service}))
	p := workload.Pod(ctx, e, e.Deploy(ctx, "KUS-01", m))
	name := framework.Name("pod", p)
	e.Expect("KUS-01", "the pod has the label", name, p.Labels, gomega.HaveKeyWithValue("team", "blue"))
	e.Expect("MC-07", "an argument in quotes may contain a blank", name, cache.Process(ctx, e, p).Args, gomega.ContainElement("no body"))
	settings := cache.Stats(ctx, e, cache.Connect(ctx, e, p), "settings")
	e.Expect("MC-07", "an argument after one in quotes takes effect (maxconns)", name, settings["maxconns"], gomega.Equal("321"))
	e.Expect("MC-07", "the last argument takes effect (num_threads)", name, settings["num_threads"], gomega.Equal("2"))

	expectRefusal()
})

// withoutDriver deploys an overlay whose volume is from a driver that the cluster
// does not have. The function it returns expects an event about that.
func withoutDriver(ctx context.Context, e *framework.Env, v deploy.Volume) func() {
	namespace := e.Namespace + "-absent"
	e.MakeNamespace(ctx, namespace)
	overlay := customise.Overlay{Driver: absentDriver}
	if v.Source != deploy.Inline {
		class := storage.MakeClass(ctx, e, absentDriver, "absent", storagev1.VolumeBindingImmediate, nil)
		overlay = customise.Overlay{Class: class.Name}
	}
	m := customise.Render(e, overlay, customise.Current, namespace)
	d := e.Apply(ctx, "KUS-06", m)
	return func() {
		p := workload.FirstPod(ctx, e, d)
		name := framework.Name("pod", p)
		var err error
		if v.Source == deploy.Inline {
			e.Expect("KUS-06", "the name of the driver can be patched", name, inlineDriver(p, v.Name), gomega.Equal(absentDriver))
			_, err = events.AwaitWarning(ctx, e, "pod", p, "FailedMount", absentDriver)
		} else {
			claim := storage.OfMemoryFile(ctx, e, "KUS-06", d, p)
			e.Require("KUS-06", "the class of the driver can be patched", framework.Name("claim", claim), ptr.Deref(claim.Spec.StorageClassName, ""), gomega.Equal(overlay.Class))
			name = framework.Name("claim", claim)
			_, err = events.Await(ctx, e, "claim", claim, "ExternalProvisioning", absentDriver)
		}
		e.Expect("KUS-06", "an event names the driver that is absent", name, err, framework.Succeed)
		e.Expect("KUS-06", "a pod without a driver does not start", framework.Name("pod", p), workload.FirstPod(ctx, e, d).Status.Phase, gomega.Equal(corev1.PodPending))
	}
}

// inlineDriver is the driver of a volume of a pod.
func inlineDriver(p *corev1.Pod, volume string) string {
	for _, v := range p.Spec.Volumes {
		if v.Name == volume && v.CSI != nil {
			return v.CSI.Driver
		}
	}
	return "no inline volume " + volume
}
