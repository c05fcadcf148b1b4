package live

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestPartWithoutATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := start(&out, env(nil), false, nil)
		defer p.Close()
		p.Begin("validate", "the kustomizations").Done("2 kustomizations")
		part := p.Begin("facts", "nodes")
		pass(time.Second)
		part.Now("node1, node2")
		pass(time.Second)
		part.Now("node2")
		pass(31 * time.Second)
		if took := part.End(); took.Round(100*time.Millisecond) != 33*time.Second {
			t.Errorf("it took %s", took)
		}
		pass(time.Minute)
		const want = "validate 2 kustomizations · 0.0s\n ▸ facts: node1, node2 2s\n ▸ facts: node2 32s\n"
		if out.String() != want {
			t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
		}
	})
}

func TestPartOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &terminal{t: t, width: 60}
		p := start(m, env(nil), true, func() int { return 60 })
		defer p.Close()
		first := p.Begin("connect", "https://x")
		pass(refresh)
		if want := " ▸ connect: https://x 0s"; m.last() != want {
			t.Errorf("the last row is %q, want %q", m.last(), want)
		}
		second := p.Begin("facts", "nodes")
		first.End() // does not end the second
		pass(refresh)
		if want := " ▸ facts: nodes 0s"; m.last() != want {
			t.Errorf("the last row is %q, want %q", m.last(), want)
		}
		second.Done("1 in the report")
		pass(refresh)
		if want := "facts    1 in the report · 0.2s\n"; m.last() != "" || m.String() != want {
			t.Errorf("the terminal shows %q, want %q", m.String(), want)
		}
	})
}
