// Package bench loads memcached from within the cluster: the clients are the
// pods of an Indexed Job that start together, and what they measure is merged,
// compared with a control, and put into the report's terms.
package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/wait"
)

// Clients are load clients that start together. They are used by one goroutine.
type Clients struct {
	waiter wait.Waiter
	links  []*link // those that are there
	lost   []string
	pods   []corev1.Pod
}

// Pod is that of the first client.
func (c *Clients) Pod() *corev1.Pod { return &c.pods[0] }

// Talk has the first client send a request to addr over a connection of its own, which it tries to make for patience, and
// returns what comes back until the end of the connection, for which it waits up to limit. The exit code is not 0
// if there is no connection, or if it breaks. That the cluster's DNS gives no answer is an error.
func (c *Clients) Talk(ctx context.Context, cl *cluster.Cluster, addr, request string, patience, limit time.Duration) (cluster.ExecResult, error) {
	p := c.Pod()
	r, err := cl.Exec(ctx, p.Namespace, p.Name, container, clientPath, "talk", addr, patience.String(), limit.String(), request)
	if err == nil && r.ExitCode == load.LookupExit {
		err = fault.OfInfrastructure(fmt.Errorf("look %s up in pod %s/%s: %s", addr, p.Namespace, p.Name, strings.TrimSpace(r.Stderr)))
	}
	return r, err
}

// ServerError is that the server at Addr, once it was connected, did not store the keys of a load as it should, see [load.StoreError].
type ServerError struct{ Addr, Text string }

func (e *ServerError) Error() string { return e.Text }

// OfDeployment makes it the deployment's fault, see package fault.
func (e *ServerError) OfDeployment() bool { return true }

// skewShare of the measured time is how far the starts of clients may lie apart.
const skewShare = 0.1

// Load has all clients load a server and returns the sum of what they measured.
// Connections and rate are shared out among them. Clients that are lost are reported
// in the result, which is not valid then; that all are lost is an error.
func (c *Clients) Load(ctx context.Context, o load.Options) (load.Result, error) {
	if err := c.prepare(ctx, o); err != nil {
		return load.Result{}, err
	}
	return c.measure(ctx, o)
}

func (c *Clients) prepare(ctx context.Context, o load.Options) error {
	all := len(c.links)
	if all == 0 {
		return fmt.Errorf("load %s: no client is left: %s", o.Addr, strings.Join(c.lost, "; "))
	}
	parts, err := share(o, all)
	if err != nil {
		return err
	}
	answers, err := c.ask(ctx, c.waiter, wait.LoadStored, "to be prepared", func(i int) load.Order { return load.Order{Prepare: &parts[i]} })
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Server {
			return &ServerError{o.Addr, a.Error}
		}
		if a.Error != "" {
			return errors.New(a.Error)
		}
	}
	if !o.Preloaded && len(answers) < all {
		return fmt.Errorf("load %s: keys are missing, which a lost client had to store: %s", o.Addr, strings.Join(c.lost, "; "))
	}
	return nil
}

func (c *Clients) measure(ctx context.Context, o load.Options) (load.Result, error) {
	patient := c.waiter
	limit, err := patient.Limit(wait.LoadEnds)
	if err != nil {
		return load.Result{}, err
	}
	patient.Limits = map[wait.Name]time.Duration{wait.LoadEnds: limit + o.WarmUp + o.Duration + o.Timeout}
	patient.Scale = wait.Scale{} // the limit has it
	answers, err := c.ask(ctx, patient, wait.LoadEnds, "to measure "+o.Duration.String(), func(int) load.Order { return load.Order{Go: true} })
	if err != nil {
		return load.Result{}, err
	}
	return c.sum(answers)
}

func (c *Clients) sum(answers []load.Answer) (load.Result, error) {
	var results []load.Result
	var failed []string
	for _, a := range answers {
		if a.Result == nil {
			failed = append(failed, a.Error)
			continue
		}
		results = append(results, *a.Result)
	}
	if len(results) == 0 {
		return load.Result{}, fmt.Errorf("no client has measured anything: %s", strings.Join(append(failed, c.lost...), "; "))
	}
	r, err := load.Merge(results)
	if err != nil {
		return load.Result{}, err
	}
	if n := len(c.lost) + len(failed); n > 0 {
		r.Invalid = append(r.Invalid, fmt.Sprintf("%d of %d clients are not in these figures: %s", n, n+len(results), strings.Join(append(failed, c.lost...), "; ")))
	}
	if apart := skew(results); float64(apart) > skewShare*float64(r.Elapsed) {
		r.Invalid = append(r.Invalid, fmt.Sprintf("the clients started up to %s apart", apart.Round(time.Millisecond)))
	}
	return r, nil
}

// skew is how far apart the clients began to measure, by the clocks of their nodes.
func skew(results []load.Result) time.Duration {
	first, last := results[0].Began, results[0].Began
	for _, r := range results {
		if r.Began.Before(first) {
			first = r.Began
		}
		if r.Began.After(last) {
			last = r.Began
		}
	}
	return last.Sub(first)
}

// share gives each of n clients its part of a load.
func share(o load.Options, n int) ([]load.Options, error) {
	if o.Connections < n {
		return nil, &load.FieldError{Field: "Connections", Value: fmt.Sprint(o.Connections), Remedy: fmt.Sprintf("give at least one for each of %d clients", n)}
	}
	parts := make([]load.Options, n)
	for i := range parts {
		parts[i] = o
		parts[i].Client, parts[i].Clients = i, n
		parts[i].Connections = o.Connections*(i+1)/n - o.Connections*i/n
		parts[i].Rate = o.Rate * float64(parts[i].Connections) / float64(o.Connections)
		parts[i].Threads = min(o.Threads, parts[i].Connections)
	}
	return parts, nil
}

// ask gives every client an order and waits for their answers. A client that
// does not answer is lost; that none does is an error.
func (c *Clients) ask(ctx context.Context, w wait.Waiter, name wait.Name, what string, order func(i int) load.Order) ([]load.Answer, error) {
	for i, l := range c.links {
		// A stream that nobody reads must not hold up the others. When it ends
		// there is no answer, which says why.
		go func() { _ = l.order(order(i)) }()
	}
	return c.answers(ctx, w, name, what)
}

func (c *Clients) answers(ctx context.Context, w wait.Waiter, name wait.Name, what string) ([]load.Answer, error) {
	got, refused := map[*link]load.Answer{}, map[*link]error{}
	all := len(c.links)
	err := w.Until(ctx, name, fmt.Sprintf("%d load clients %s", all, what), func(ctx context.Context) (bool, string, error) {
		for _, l := range c.links {
			if _, ok := got[l]; ok || refused[l] != nil {
				continue
			}
			select {
			case a, ok := <-l.answers:
				if ok {
					got[l] = a
				} else {
					refused[l] = l.err()
				}
			case <-ctx.Done():
				return false, fmt.Sprintf("%d of %d have answered; %s has not", len(got), all, l.name), nil
			}
		}
		return true, fmt.Sprintf("%d of %d have answered", len(got), all), nil
	})
	if err != nil && (len(got) == 0 || ctx.Err() != nil) {
		return nil, err
	}
	var answers []load.Answer
	var left []*link
	for _, l := range c.links {
		if a, ok := got[l]; ok {
			answers, left = append(answers, a), append(left, l)
			continue
		}
		why := refused[l]
		if why == nil {
			why = err // it has used up the time
		}
		c.lost = append(c.lost, fmt.Sprintf("%s was lost: %v", l.name, why))
		l.letGo()
	}
	c.links = left
	if len(answers) == 0 {
		return nil, fmt.Errorf("%s: every load client was lost: %s", what, strings.Join(c.lost, "; "))
	}
	return answers, nil
}

// begin waits until the clients take orders.
func (c *Clients) begin(ctx context.Context) error {
	_, err := c.answers(ctx, c.waiter, wait.LoadReady, "to take orders")
	return err
}
