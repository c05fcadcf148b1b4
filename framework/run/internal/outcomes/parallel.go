package outcomes

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// meets is a spec that ends when another one, with the given id, runs as well.
func meets(id, other string) bool {
	return framework.It(spec.Spec{
		ID: id, Title: "meets " + other, Covers: []spec.ReqID{"EPH-01"}, Level: spec.Must, Profile: spec.Ephemeral,
		Tags: []string{"outcome"}, Budget: time.Minute,
	}, func(ctx context.Context, e *framework.Env) {
		mark(e, id+"-runs")
		err := e.Waiter.Until(ctx, wait.PodRuns, other+" to run", func(context.Context) (bool, string, error) {
			return marked(e, other+"-runs"), "it does not", nil
		})
		e.Expect("EPH-01", "the other spec runs", "the suite", err, framework.Succeed)
		mark(e, id+"-ended")
	})
}

func mark(e *framework.Env, name string) {
	e.NoError(os.WriteFile(filepath.Join(e.Config.ReportDir, name), nil, 0o600), "make the file %s", name)
}

func marked(e *framework.Env, name string) bool {
	_, err := os.Stat(filepath.Join(e.Config.ReportDir, name))
	return err == nil
}

var (
	_ = meets("AAA-41", "AAA-42")
	_ = meets("AAA-42", "AAA-41")
	_ = framework.It(spec.Spec{
		ID: "AAA-43", Title: "runs alone", Covers: []spec.ReqID{"EPH-01"}, Level: spec.Must, Profile: spec.Ephemeral,
		Tags: []string{"outcome"}, Budget: time.Minute, Alone: true,
	}, func(_ context.Context, e *framework.Env) {
		e.Expect("EPH-01", "the other specs have ended", "the suite",
			[]bool{marked(e, "AAA-41-ended"), marked(e, "AAA-42-ended")}, gomega.Equal([]bool{true, true}))
	})
)
