package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/mutant/liar/liartest"
)

// master gives orders to a client that Serve runs.
type master struct {
	orders  *json.Encoder
	answers *json.Decoder
	in      *io.PipeWriter
	done    chan error
}

func newMaster(t *testing.T) *master {
	t.Helper()
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	m := &master{json.NewEncoder(orders), json.NewDecoder(answers), orders, make(chan error, 1)}
	go func() {
		m.done <- Serve(t.Context(), in, out)
		_ = out.Close()
	}()
	t.Cleanup(func() { _ = orders.Close() })
	if a := m.answer(t); !a.Ready {
		t.Fatalf("at the start: %+v", a)
	}
	return m
}

func (m *master) answer(t *testing.T) Answer {
	t.Helper()
	var a Answer
	if err := m.answers.Decode(&a); err != nil {
		t.Fatalf("read an answer: %v", err)
	}
	return a
}

func (m *master) order(t *testing.T, o Order) {
	t.Helper()
	if err := m.orders.Encode(o); err != nil {
		t.Fatal(err)
	}
}

func TestServe(t *testing.T) {
	addr := realServer(t)
	m := newMaster(t)
	o := short(addr)
	for i := range 2 {
		o.Preloaded = i == 1
		m.order(t, Order{Prepare: &o})
		if a := m.answer(t); !a.Ready {
			t.Fatalf("prepare: %+v", a)
		}
		m.order(t, Order{Go: true})
		a := m.answer(t)
		if a.Result == nil || a.Result.Wrong != 0 || a.Result.Misses != 0 || a.Result.Answered() == 0 || a.Result.Options.Popular != o.Popular {
			t.Fatalf("go: %+v", a)
		}
	}
	bad := short(addr)
	bad.Keys = 0
	for _, test := range []struct {
		order Order
		want  string
	}{
		{Order{Go: true}, "nothing is prepared"},
		{Order{}, "either to prepare or to go"},
		{Order{Prepare: &bad}, `Keys="0"`},
	} {
		m.order(t, test.order)
		if a := m.answer(t); a.Ready || a.Server || a.Result != nil || !strings.Contains(a.Error, test.want) {
			t.Errorf("%+v: %+v, want %q", test.order, a, test.want)
		}
	}
	lying := short(liartest.Start(t, addr, "drops-connection"))
	m.order(t, Order{Prepare: &lying})
	if a := m.answer(t); !a.Server || !strings.Contains(a.Error, "store the keys: connection lost") {
		t.Errorf("a server that closes connections: %+v", a)
	}
	m.order(t, Order{End: true})
	if err := <-m.done; err != nil {
		t.Errorf("the end: %v", err)
	}
}

// TestServeLetsGo ends the orders while a load is under way.
func TestServeLetsGo(t *testing.T) {
	m := newMaster(t)
	o := short(realServer(t))
	o.Duration = time.Hour
	m.order(t, Order{Prepare: &o})
	m.answer(t)
	m.order(t, Order{Go: true})
	_ = m.in.Close()
	if a := m.answer(t); !strings.Contains(a.Error, "nobody to give orders") {
		t.Errorf("%+v", a)
	}
	if err := <-m.done; err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	in, orders := io.Pipe()
	defer orders.Close()
	if err := Serve(ended, in, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped while it waits for orders: %v", err)
	}
	err := Serve(context.Background(), strings.NewReader(`{"prepare": 7}`), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "read an order") {
		t.Errorf("an order that is none: %v", err)
	}
}

// twoClients load a server together, each with keys of its own.
func twoClients(t *testing.T, addr string) []Result {
	t.Helper()
	var ready []*Prepared
	for i := range 2 {
		o := short(addr)
		o.Client, o.Clients, o.Owned, o.Sets, o.Rate = i, 2, true, 5, 2000
		p, err := Prepare(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ready = append(ready, p)
	}
	results, errs := make([]Result, 2), make([]error, 2)
	var running sync.WaitGroup
	for i, p := range ready {
		running.Go(func() { results[i], errs[i] = p.Measure(t.Context()) })
	}
	running.Wait()
	for i, r := range results {
		if errs[i] != nil || r.Wrong+r.Errors+r.Misses != 0 {
			t.Fatalf("client %d: %v %s", i, errs[i], r)
		}
	}
	return results
}

func TestMergeAddsUp(t *testing.T) {
	results := twoClients(t, realServer(t))
	for i, r := range results {
		var copied Result
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &copied); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(copied)
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("%v: a result is another after it was written and read:\n%s\n%s", err, data, again)
		}
		results[i] = copied
	}
	first := results[0].Get.TotalCount()
	sum, err := Merge(results)
	if err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]func(Result) any{
		"answered": func(r Result) any { return r.Answered() },
		"gets":     func(r Result) any { return r.Get.TotalCount() },
		"hits":     func(r Result) any { return r.Hits },
		"rate":     func(r Result) any { return int64(r.Options.Rate) },
		"late":     func(r Result) any { return r.Late.TotalCount() },
		"tick":     func(r Result) any { return r.Ticks[1] },
		"cpu":      func(r Result) any { return int64(r.ClientCPU) },
	} {
		a, b, got := reflect.ValueOf(of(results[0])), reflect.ValueOf(of(results[1])), reflect.ValueOf(of(sum))
		if got.Int() != a.Int()+b.Int() || got.Int() == 0 {
			t.Errorf("%s: %d and %d add up to %d", name, a.Int(), b.Int(), got.Int())
		}
	}
	if sum.Get.Max() != max(results[0].Get.Max(), results[1].Get.Max()) || results[0].Get.TotalCount() != first {
		t.Errorf("the longest get: %d of %d and %d", sum.Get.Max(), results[0].Get.Max(), results[1].Get.Max())
	}
	results[1].Elapsed++
	if _, err := Merge(results); err == nil || !strings.Contains(err.Error(), "client 1 is about") {
		t.Errorf("other times: %v", err)
	}
	if _, err := Merge(nil); err == nil {
		t.Error("nothing was merged")
	}
}
