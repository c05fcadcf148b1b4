package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/match"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// measuring are the specs of make bench.
var measuring = []string{spec.BenchmarkTag}

// benchBudget is enough for samples of some seconds; more are given more time
// by WAIT_SCALE.
const benchBudget = 60 * time.Minute

var _ = framework.It(spec.Spec{
	ID: "BEN-01", Title: "an ephemeral cache compared with its control in DRAM, under seven kinds of load",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Ephemeral, Tags: measuring, Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) { allScenarios(ctx, e) })

var _ = framework.It(spec.Spec{
	ID: "BEN-02", Title: "a persistent cache compared with its control in DRAM, under seven kinds of load",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Persistent, Tags: measuring, Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) { allScenarios(ctx, e) })

func allScenarios(ctx context.Context, e *framework.Env) {
	deployments, subjects := traffic.Controls(ctx, e, deploy.Changes{})
	limit := min(traffic.CacheSize(ctx, e, deployments[0]), traffic.CacheSize(ctx, e, deployments[1]))
	clients, end := traffic.Clients(ctx, e, deployments[0], 1)
	for _, s := range bench.Scenarios(limit, e.Config.Sample()) {
		traffic.CompareWithControl(ctx, e, clients, s, deployments, subjects)
	}
	end()
}

var _ = framework.It(spec.Spec{
	ID: "BEN-03", Title: "the latency of an ephemeral cache and of its control by rate",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Ephemeral, Tags: measuring, Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) {
	deployments, subjects := traffic.Controls(ctx, e, deploy.Changes{})
	clients, end := traffic.Clients(ctx, e, deployments[0], 1)
	s := bench.GetHeavy(e.Config.Sample())
	loaded := traffic.Loading(ctx, e, clients, deployments[0], deployments[1:]...)
	all, err := clients.Rates(ctx, s, subjects, func(text string) { e.Step("%s", text) })
	loaded(err, "measure")
	end()
	b := report.Benchmark{
		Name: "latency by rate", Raw: traffic.KeepJSON(e, "latency-by-rate", all),
		Setting: s.Setting(0) + " to find the ceiling, then open loops",
		Curves:  []report.Curve{{Title: "Latency by rate (open loop)", X: "requests a second", Y: "p99 in ms"}},
	}
	for _, rates := range all {
		b.Found = append(b.Found, rates.String())
		b.Curves[0].Series = append(b.Curves[0].Series, rates.Series())
		e.Expect("MC-09", "every request gets the right answer", rates.Subject, rates.Faults(), gomega.BeEmpty())
	}
	e.Measured(b)
})

var _ = framework.It(spec.Spec{
	ID: "BEN-04", Title: "several clients load an ephemeral cache at the same time",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Ephemeral, Tags: measuring, Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "MC-09", e.Manifest(e.Spec.Profile))
	s := bench.GetHeavy(e.Config.Sample())
	many := e.Config.Sampling.Clients
	s.Load.Connections = max(s.Load.Connections, 4*many)
	throughput := report.Series{Name: traffic.OnPMEM}
	for _, n := range []int{1, many} {
		clients, end := traffic.Clients(ctx, e, d, n)
		e.Step("load by %d clients", n)
		loaded := traffic.Loading(ctx, e, clients, d)
		p, err := clients.Measure(ctx, s, []bench.Subject{{Name: traffic.OnPMEM, Addr: traffic.Addr(ctx, e, d)}}, bench.Plan{Pairs: e.Config.Sampling.Pairs})
		loaded(err, "measure")
		end()
		b := p.Benchmark(s)
		b.Name = fmt.Sprintf("clients %d", n)
		b.Raw = traffic.KeepJSON(e, fmt.Sprintf("clients-%d", n), p)
		throughput.Points = append(throughput.Points, report.Point{X: float64(n), Y: b.PerSecond()})
		if n == many {
			b.Curves = []report.Curve{{Title: "Throughput by clients", X: "clients", Y: "requests a second", Series: []report.Series{throughput}}}
		}
		e.Measured(b)
		e.Expect("MC-09", "every request gets the right answer", fmt.Sprintf("%d clients", n), p.Faults(), gomega.BeEmpty())
	}
})

// Times of a load that continues while the server restarts.
const (
	restartAfter = 8 * time.Second
	restartLoad  = 45 * time.Second
	restartLog   = 5 // lines
)

var _ = framework.It(spec.Spec{
	ID: "BEN-05", Title: "a persistent cache serves every item again soon after its pod was deleted under load",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Persistent, Tags: append([]string{"restart"}, measuring...), Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) {
	deployments, subjects := traffic.Controls(ctx, e, deploy.Changes{})
	clients, end := traffic.Clients(ctx, e, deployments[0], 1)
	restarts := restartUnderLoad(ctx, e, clients, deployments, bench.GetHeavy(e.Config.Sample()), subjects)
	end()
	curve := report.Curve{Title: "Values found around a restart under load", X: "seconds", Y: "values a second"}
	for i, r := range restarts {
		curve.Series = append(curve.Series, bench.TimeLine(subjects[i].Name, r.Result.HitTicks, r.Result.Tick))
		curve.Marks = append(curve.Marks, r.Dip.Marks(subjects[i].Name, restartAfter)...)
	}
	warm := restarts[0]
	var found []string
	for i, r := range restarts {
		found = append(found, fmt.Sprintf("%s: %s; %d of %d gets found nothing", subjects[i].Name, r.Dip, r.Result.Misses, r.Result.Hits+r.Result.Misses))
	}
	e.Measured(report.Benchmark{
		Name: "restart", Curves: []report.Curve{curve}, Raw: traffic.KeepJSON(e, "restart", restarts),
		Setting: fmt.Sprintf("gets only, open loop of %.0f requests/s; each pod is deleted after %s", warm.Result.Options.Rate, restartAfter),
		Found:   found,
	})
	e.Expect("MC-09", "every key is found after the restart (misses)", workload.Name(deployments[0]), warm.Result.Misses, gomega.BeZero())
	e.Expect("MC-09", "the control, whose memory is lost with its pod, has misses (misses)", workload.Name(deployments[1]), restarts[1].Result.Misses, gomega.BeNumerically(">", 0))
})

// restart is a restart under load.
type restart struct {
	Result load.Result `json:"result"`
	Dip    bench.Dip   `json:"dip"`
}

// restartUnderLoad deletes the pod of each deployment while it is loaded with
// gets, at half the rate that the slower one handles.
func restartUnderLoad(ctx context.Context, e *framework.Env, clients *bench.Clients, deployments []*deploy.Deployment, s bench.Scenario, subjects []bench.Subject) []restart {
	s.Load.Gets, s.Load.Sets = 1, 0
	loaded := traffic.Loading(ctx, e, clients, deployments[0], deployments[1:]...)
	p, err := clients.Measure(ctx, s, subjects, bench.Plan{Pairs: 1, Open: true})
	loaded(err, "measure the throughput of the caches")
	var restarts []restart
	for i, d := range deployments {
		e.Step("restart %s under a load of %.0f requests/s", subjects[i].Name, p.Rate)
		o := s.Load
		o.Addr, o.Rate, o.Preloaded, o.MayMiss, o.Duration = subjects[i].Addr, p.Rate, true, true, restartLoad
		old := workload.Pod(ctx, e, d)
		r, _, err := clients.Interrupt(ctx, o, restartAfter, func(ctx context.Context) error {
			pods := e.Cluster.Client.CoreV1().Pods(d.Namespace)
			if err := pods.Delete(ctx, old.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &old.UID}}); err != nil {
				return err
			}
			return d.Ready(ctx)
		})
		e.NoError(err, "restart %s under load", subjects[i].Name)
		dip := bench.FindDip(r.Ticks, r.Tick, restartAfter)
		log, err := e.Cluster.LogTail(ctx, d.Namespace, workload.Pod(ctx, e, d).Name, deploy.Container, false, restartLog)
		e.NoError(err, "read the log of memcached after its restart")
		traffic.Note(e, "restart, "+subjects[i].Name, r, dip.String())
		e.Note("log after the restart, "+subjects[i].Name, "%s", log)
		e.Expect("MC-09", "every value is right", workload.Name(d), r.Wrong, gomega.BeZero())
		e.Expect("MC-09", "the rate of answers recovers", workload.Name(d), dip, regain)
		restarts = append(restarts, restart{r, dip})
	}
	return restarts
}

var regain = match.That("recover before the end of the load", func(d bench.Dip) bool { return d.Regains })

// Sizes of volumes, each of which fits into the lab.
var (
	sizes    = []string{"100Mi", "300Mi", "600Mi", "1200Mi"}
	xfsSizes = []string{storage.SizeForXFS, "960Mi", "1200Mi", "1500Mi"}
)

// sizesFor are the sizes that the filesystem of a claim's class can have.
func sizesFor(ctx context.Context, e *framework.Env, m *deploy.Manifest) []string {
	v, err := m.Volume()
	e.NoError(err, "find the volume in %s", m.Dir)
	if v.Class == "" {
		return sizes
	}
	class, err := e.Cluster.Client.StorageV1().StorageClasses().Get(ctx, v.Class, metav1.GetOptions{})
	e.NoError(err, "read storage class %s", v.Class)
	if class.Parameters["csi.storage.k8s.io/fstype"] == "xfs" {
		return xfsSizes
	}
	return sizes
}

var _ = framework.It(spec.Spec{
	ID: "BEN-06", Title: "a restart takes longer with more items, and a larger cache is as fast",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Persistent, Tags: append([]string{"restart"}, measuring...), Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) {
	outage, rate := report.Series{Name: "without an answer"}, report.Series{Name: traffic.OnPMEM}
	var raw []restart
	var found []string
	for _, size := range sizesFor(ctx, e, e.Manifest(e.Spec.Profile)) {
		d := e.Deploy(ctx, "MC-09", e.Variant(e.Spec.Profile, deploy.Changes{Namespace: e.Namespace, VolumeSize: resource.MustParse(size)}))
		limit := traffic.CacheSize(ctx, e, d)
		clients, end := traffic.Clients(ctx, e, d, 1)
		subject := bench.Subject{Name: fmt.Sprintf("a cache of %d MiB", limit/cache.MiB), Addr: traffic.Addr(ctx, e, d)}
		r := restartUnderLoad(ctx, e, clients, []*deploy.Deployment{d}, bench.Filling(e.Config.Sample()), []bench.Subject{subject})[0]
		end()
		e.Expect("MC-09", "every key is found before and after the restart (misses)", workload.Name(d), r.Result.Misses, gomega.BeZero())
		raw = append(raw, r)
		x := float64(limit) / cache.MiB
		found = append(found, fmt.Sprintf("%.0f MiB, %d items: %s", x, r.Result.Options.Keys, r.Dip))
		outage.Points = append(outage.Points, report.Point{X: x, Y: r.Dip.Outage.Seconds()})
		rate.Points = append(rate.Points, report.Point{X: x, Y: 2 * r.Result.Options.Rate})
		e.NoError(d.Delete(ctx), "delete %s", d.Dir)
		e.NoError(d.DeleteClaims(ctx), "delete the claims of %s", d.Dir)
	}
	e.Measured(report.Benchmark{
		Name:    "size of the cache",
		Setting: "caches filled with values of 10 kB to four fifths, gets only; the pod is deleted while an open loop at half of the throughput continues",
		Found:   found,
		Raw:     traffic.KeepJSON(e, "size-of-the-cache", raw),
		Curves: []report.Curve{
			{Title: "Restart by size of the cache", X: "MiB for items", Y: "seconds", Series: []report.Series{outage}},
			{Title: "Throughput by size of the cache", X: "MiB for items", Y: "requests a second", Series: []report.Series{rate}},
		},
	})
})
