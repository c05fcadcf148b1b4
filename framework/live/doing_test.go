package live

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestDoingIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &terminal{t: t, width: 60}
		p := start(m, env(nil), true, func() int { return 60 })
		defer p.Close()
		done := 0
		w := p.Writer()
		w.Doing(func() string { done++; return fmt.Sprintf("part %d\nof 9", done) })
		pass(refresh)
		if want := " ▸ part 1 | of 9 0s"; m.last() != want {
			t.Errorf("the last row is %q, want %q", m.last(), want)
		}
		pass(time.Second)
		if want := " ▸ part 6 | of 9 1s"; m.last() != want {
			t.Errorf("the last row is %q, want %q", m.last(), want)
		}
		w.Doing(nil)
		pass(refresh)
		if m.last() != "" {
			t.Errorf("the last row is %q after the end", m.last())
		}
	})
}
