// Package traffic puts caches under load from within the cluster and compares
// them with controls in DRAM.
package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Clients starts pods that put servers under load. The
// function that it returns ends them.
func Clients(ctx context.Context, e *framework.Env, d *deploy.Deployment, count int) (clients *bench.Clients, end func()) {
	e.Step("start %d load clients", count)
	j := bench.Job{
		Server: d.Manifest, Image: e.HelperImage(ctx, d.Manifest), Name: "load-" + rand.String(5), Program: e.Config.LoadClient, Count: count,
		Place: bench.Placement(e.Config.Sampling.Place), Node: workload.Pod(ctx, e, d).Spec.NodeName,
	}
	clients, err := bench.Start(ctx, e.Cluster, e.Waiter, e.Ledger, j)
	e.NoError(err, "start load clients")
	return clients, func() { e.NoError(clients.End(ctx, e.Cluster, j), "end the load clients") }
}

// Addr is the host:port at which pods reach a deployment: the address of its
// Service, or the name of a Service without one.
func Addr(ctx context.Context, e *framework.Env, d *deploy.Deployment) string {
	s, err := e.Cluster.Client.CoreV1().Services(d.Namespace).Get(ctx, d.Service, metav1.GetOptions{})
	e.NoError(err, "read the Service %s", d.Service)
	host := s.Spec.ClusterIP
	if host == "" || host == "None" {
		host = fmt.Sprintf("%s.%s.svc", d.Service, d.Namespace)
	}
	return net.JoinHostPort(host, strconv.Itoa(d.ServicePort))
}

// ExpectRight expects that every request of a load got the right answer.
func ExpectRight(e *framework.Env, req spec.ReqID, object string, r load.Result) {
	e.Expect(req, "requests are answered", object, r.Answered(), gomega.BeNumerically(">", 0))
	e.Expect(req, "every answer is right", object, counted(r.Wrong, "wrong answers", r.Complaints), gomega.BeEmpty())
	e.Expect(req, "every request is answered", object, counted(r.Errors, "errors", r.Complaints), gomega.BeEmpty())
}

// Note puts a load into the report: what was measured in lines, below remarks,
// and the latencies in a table.
func Note(e *framework.Env, name string, r load.Result, remarks ...string) {
	head, rows := r.Latencies()
	e.NoteTable(name, report.Table{Head: head, Rows: rows}, "%s", strings.Join(append(remarks, r.Summary()...), "\n"))
}

// counted is empty if there are no faults.
func counted(faults int64, kind string, complaints []string) string {
	if faults == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s: %s", faults, kind, strings.Join(complaints, "; "))
}

// KeepJSON writes a measurement in full to the evidence and returns its path.
func KeepJSON(e *framework.Env, name string, v any) string {
	return e.Keep(name+".json", func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
}
