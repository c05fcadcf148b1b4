// Package outcomes is a suite with a spec for every way that one can end. The
// tests of package run execute it as they would package e2e.
package outcomes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run/child"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Run runs the specs with the configuration in a file, for at most limit.
func Run(configFile, limit string) error {
	c, err := config.ReadFile(configFile)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	child.Follow()
	return framework.Run(c, d, nil)
}

func it(id, title string, level spec.Level, body func(context.Context, *framework.Env), needs ...spec.Feature) bool {
	covers := map[spec.Level]spec.ReqID{spec.Must: "EPH-01", spec.Should: "MC-09"}
	return framework.It(spec.Spec{
		ID: id, Title: title, Covers: []spec.ReqID{covers[level]}, Level: level, Profile: spec.Ephemeral,
		Needs: needs, Tags: []string{"outcome"}, Budget: time.Second,
	}, body)
}

var _ = framework.It(spec.Spec{
	ID: "AAA-16", Title: "measures", Covers: []spec.ReqID{"EPH-01"}, Level: spec.Must, Profile: spec.Ephemeral,
	Tags: []string{spec.BenchmarkTag}, Budget: time.Second,
}, func(_ context.Context, e *framework.Env) {
	e.Measured(report.Benchmark{Name: "get-heavy", Setting: "none", Control: &report.Control{Name: "dram"},
		Comparisons: []report.Comparison{{Metric: "requests/s", Better: report.Higher, Ratio: 0.8, Low: 0.75, High: 0.85, Confidence: 0.95, Pairs: 8}}})
	examine(e, 1)
})

func versioned(id, title string, examine func(*framework.Env)) bool {
	return framework.It(spec.Spec{
		ID: id, Title: title, Covers: []spec.ReqID{"RST-01", "RST-66"}, Level: spec.Must, Profile: spec.Persistent,
		Tags: []string{"outcome"}, Budget: time.Second,
	}, func(_ context.Context, e *framework.Env) {
		e.Expect("RST-01", "one pod is ready", "StatefulSet default/cache", 1, gomega.Equal(1))
		examine(e)
	})
}

func examine(e *framework.Env, observed int) {
	e.Expect(e.Spec.Covers[0], "one pod is ready", "Deployment default/cache", observed, gomega.Equal(1))
}

var (
	_ = it("AAA-01", "passes", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Step("look at the pod")
		e.Note("seen", "one pod")
		e.Fact("memcached", "version", "1.6.38", "stats: version")
		examine(e, 1)
	})
	_ = it("AAA-02", "finds a requirement that is not met", spec.Must, func(_ context.Context, e *framework.Env) { examine(e, 0) })
	_ = it("AAA-03", "finds a recommendation that is not followed", spec.Should, func(_ context.Context, e *framework.Env) { examine(e, 0) })
	_ = it("AAA-04", "cannot do what it wants to do", spec.Must, func(_ context.Context, e *framework.Env) {
		e.NoError(errors.New("connection refused"), "reach the pod")
	})
	_ = it("AAA-05", "panics", spec.Must, func(context.Context, *framework.Env) { panic("index out of range") })
	_ = it("AAA-06", "uses up its budget in a wait", spec.Must, func(ctx context.Context, e *framework.Env) {
		err := e.Waiter.Until(ctx, wait.PodRuns, "the end of time", func(context.Context) (bool, string, error) { return false, "not yet", nil })
		e.Expect("EPH-01", "time ends", "the universe", err, framework.Succeed)
	})
	_ = it("AAA-07", "examines nothing", spec.Must, func(context.Context, *framework.Env) {})
	_ = it("AAA-08", "leaves something behind", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Ledger.Add("claim default/data", func(context.Context) error { return errors.New("held by a finalizer") })
		examine(e, 1)
	})
	_ = it("AAA-09", "needs what the suite cannot see", spec.Must, func(_ context.Context, e *framework.Env) { examine(e, 1) }, spec.NodeAccess)
	_ = it("AAA-10", "dies", spec.Must, func(context.Context, *framework.Env) { os.Exit(0) })
	_ = it("AAA-11", "waits for an interrupt", spec.Must, func(ctx context.Context, e *framework.Env) {
		e.Step("waiting")
		<-ctx.Done()
		e.NoError(ctx.Err(), "wait")
	})
	_ = it("AAA-12", "passes when it is tried again", spec.Must, func(_ context.Context, e *framework.Env) {
		seen := filepath.Join(e.Config.ReportDir, "tried")
		_, err := os.Stat(seen)
		e.NoError(os.WriteFile(seen, nil, 0o600), "remember the attempt")
		if err != nil {
			examine(e, 0)
			return
		}
		examine(e, 1)
	})
	_ = it("AAA-13", "examines what it does not list", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Expect("EPH-02", "it is listed", "the spec", 1, gomega.Equal(1))
	})
	_ = it("AAA-14", "cannot be set up", spec.Must, func(_ context.Context, e *framework.Env) {
		examine(e, 1)
	})
	_ = it("AAA-15", "leaves its namespace", spec.Must, func(ctx context.Context, e *framework.Env) {
		e.MakeNamespace(ctx, fmt.Sprintf("stays-%d", os.Getpid()))
		examine(e, 1)
	})
	_ = it("AAA-17", "finds more while one part has ended already", spec.Must, func(_ context.Context, e *framework.Env) {
		ended := make(chan struct{})
		e.Parallel(func() {
			defer close(ended)
			e.Require("EPH-01", "the first part is right", "the cache", 0, gomega.Equal(1))
		}, func() {
			<-ended
			e.Expect("EPH-01", "the second part is right", "the cache", 0, gomega.Equal(1))
		})
		e.Expect("EPH-01", "what comes after both is examined", "the cache", 0, gomega.Equal(1))
	})
	_ = it("AAA-18", "panics in a part", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Parallel(func() { examine(e, 1) }, func() { panic("index out of range") })
	})
	_ = it("AAA-19", "passes in parts", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Parallel(func() { examine(e, 1) }, func() { e.Step("look elsewhere") })
	})
	_ = it("AAA-24", "loses the network in a check", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Expect("EPH-01", "the claim can be read", "the claim", fmt.Errorf("get the claim: %w", syscall.ECONNRESET), framework.Succeed)
	})
	_ = it("AAA-25", "loses the network where an error is expected", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Expect("EPH-01", "the pod is refused", "the pod", fmt.Errorf("make the pod: %w", syscall.ECONNREFUSED), gomega.HaveOccurred())
	})
	_ = it("AAA-26", "is not allowed to look in a check", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Expect("EPH-01", "the claim can be read", "the claim", apierrors.NewForbidden(schema.GroupResource{Resource: "claims"}, "data", errors.New("no")), framework.Succeed)
	})
	_ = it("AAA-27", "waits for what errors hide", spec.Must, func(ctx context.Context, e *framework.Env) {
		w := e.Waiter
		w.Limits = map[wait.Name]time.Duration{wait.PodRuns: time.Millisecond}
		err := w.Until(ctx, wait.PodRuns, "a pod", func(context.Context) (bool, string, error) { return false, "", errors.New("no route") })
		e.Expect("EPH-01", "a pod runs", "the pod", err, framework.Succeed)
	})
	_ = it("AAA-28", "waits for what does not come", spec.Must, func(ctx context.Context, e *framework.Env) {
		w := e.Waiter
		w.Limits = map[wait.Name]time.Duration{wait.PodRuns: time.Millisecond}
		err := w.Until(ctx, wait.PodRuns, "a pod", func(context.Context) (bool, string, error) { return false, "Pending", nil })
		e.Expect("EPH-01", "a pod runs", "the pod", err, framework.Succeed)
	})
	_ = it("AAA-29", "meets a deployment that is silent", spec.Must, func(_ context.Context, e *framework.Env) {
		e.Serves("EPH-01", "the deployment becomes ready", &deploy.Deployment{Manifest: &deploy.Manifest{Kind: "Deployment", Namespace: "default", Name: "cache"}}, nil)
		e.NoError(fault.OfDeployment(errors.New("no answer within 1m0s")), "store items")
	})
	_ = versioned("AAA-31", "finds a requirement that holds for newer releases only", func(e *framework.Env) {
		if e.Holds("RST-66", "1.6.8") {
			e.Expect("RST-66", "shutdown is refused", "the cache", 0, gomega.Equal(1))
		}
	})
	_ = versioned("AAA-32", "finds a requirement that holds", func(e *framework.Env) {
		if e.Holds("RST-66", "1.6.9") {
			e.Expect("RST-66", "shutdown is refused", "the cache", 0, gomega.Equal(1))
		}
	})
	_ = versioned("AAA-33", "does not know the release", func(e *framework.Env) { e.Holds("RST-66", "unknown") })
	_ = versioned("AAA-34", "does not compare the release", func(e *framework.Env) {
		e.Expect("RST-66", "shutdown is refused", "the cache", 1, gomega.Equal(1))
	})
	_ = it("AAA-23", "leaves something behind, and passes when it is tried again", spec.Must, func(_ context.Context, e *framework.Env) {
		seen := filepath.Join(e.Config.ReportDir, "tried")
		if _, err := os.Stat(seen); err != nil {
			e.Ledger.Add("claim default/data", func(context.Context) error { return errors.New("held by a finalizer") })
		}
		e.NoError(os.WriteFile(seen, nil, 0o600), "remember the attempt")
		examine(e, 1)
	})
	_ = it("AAA-22", "needs consent", spec.Must, func(_ context.Context, e *framework.Env) { examine(e, 1) }, spec.Disruption)
	_ = it("AAA-21", "needs what the cluster lacks", spec.Must, func(_ context.Context, e *framework.Env) { examine(e, 1) }, spec.NodePower)
	_ = framework.It(spec.Spec{
		ID: "AAA-20", Title: "ignores an interrupt", Covers: []spec.ReqID{"EPH-01"}, Level: spec.Must, Profile: spec.Ephemeral,
		Tags: []string{"outcome"}, Budget: time.Minute,
	}, func(_ context.Context, e *framework.Env) {
		e.Step("waiting for ever")
		select {}
	})
	_ = it("AAA-35", "notes a value that is nil", spec.Must, func(_ context.Context, e *framework.Env) {
		var err error
		e.Note("lack of memory", "the command ended with %v", err)
		examine(e, 1)
	})
	_ = it("AAA-30", "quotes secrets", spec.Must, func(_ context.Context, e *framework.Env) {
		deployment := e.Manifest(spec.Ephemeral)
		var quoted []string
		for _, o := range deployment.Objects {
			text, err := o.MarshalJSON()
			e.NoError(err, "encode %s", o.GetName())
			quoted = append(quoted, string(text))
		}
		text := strings.Join(quoted, "\n")
		fmt.Println(text)
		fmt.Fprintln(os.Stderr, "passphrase CANARY-known from the deployment")
		e.Step("log in with %s", text)
		e.Note("log", "%s", text)
		e.Fact("memcached", "arguments", text, text)
		e.Keep("kept.txt", func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
		err := e.Waiter.Until(context.Background(), wait.PodRuns, text, func(context.Context) (bool, string, error) { return true, text, nil })
		e.NoError(err, "wait")
		e.Expect(e.Spec.Covers[0], "it prints no secret", "pod with "+text, text, gomega.Equal(""))
		e.NoError(fmt.Errorf("the API server refused %s", text), "apply")
	})
)
