package load

import (
	"fmt"
	"time"
)

// answers handles whole answers and returns what is left.
func (l *loop) answers(c *conn, data []byte, now int64) []byte {
	for len(data) > 0 {
		a, n := l.wire.parse(data)
		if a.kind == partial {
			return data
		}
		if c.inFlight() == 0 {
			l.lose(c, fmt.Sprintf("an answer that nothing was asked for: %q", clip(a.line)))
			return nil
		}
		if !l.answer(c, a, now) {
			l.lose(c, fmt.Sprintf("this is no answer to a %s: %q", operationNames[c.at(c.head).op], clip(a.line)))
			return nil
		}
		data = data[n:]
	}
	return nil
}

func clip(b []byte) []byte { return b[:min(len(b), 100)] }

// answer takes a to be for the first slot in flight; it returns false when it
// cannot be.
func (l *loop) answer(c *conn, a answer, now int64) bool {
	s := c.at(c.head)
	switch {
	case a.kind == garbage:
		return false
	case a.kind == failure:
		l.stats.errors++
		l.stats.complain("%s of key %d: %s", operationNames[s.op], s.key, clip(a.line))
		l.forget(s)
		for !c.at(c.head).last {
			c.head++
		}
		l.done(c, c.at(c.head), now, false)
	case s.op == opSet:
		if a.kind != stored {
			return false
		}
		l.done(c, s, now, true)
	case s.op == opDelete:
		if a.kind != deleted && a.kind != notFound && a.kind != stored {
			return false
		}
		l.done(c, s, now, true)
	default:
		return l.found(c, s, a, now)
	}
	return true
}

// found handles an answer to a get, of which the first open slot is s.
func (l *loop) found(c *conn, s *slot, a answer, now int64) bool {
	ends := a.kind == end || a.kind == miss || a.kind == value && l.wire.single(l.options.Multiget)
	switch a.kind {
	case value:
		if a.key != nil {
			key, ok := l.wire.parseKey(a.key)
			for ok && (s.hit || uint64(s.key) != key) && !s.last {
				l.miss(s)
				c.head++
				s = c.at(c.head)
			}
			if !ok || s.hit || uint64(s.key) != key {
				return false
			}
		}
		s.hit = true
		l.verify(s, a.value, now)
	case miss, end:
	default:
		return false
	}
	if !ends {
		return true
	}
	for ; !s.last; s = c.at(c.head) {
		l.miss(s)
		c.head++
	}
	l.miss(s)
	l.done(c, s, now, true)
	return true
}

func (l *loop) miss(s *slot) {
	if s.hit {
		return
	}
	if s.measured {
		l.stats.misses++
	}
	if !l.options.MayMiss {
		l.stats.wrong++
		l.stats.complain("get of key %d: nothing is stored", s.key)
	}
}

func (l *loop) verify(s *slot, got []byte, now int64) {
	if s.measured {
		l.stats.hits++
		l.stats.hitTicks[l.stats.tick(now-l.begin)]++
		l.stats.received += int64(len(got))
	}
	if l.checked++; l.checked < l.options.Verify {
		return
	}
	l.checked = 0
	switch {
	case !l.wire.contents.holds(uint64(s.key), got):
		l.stats.wrong++
		l.stats.complain("get of key %d: %s", s.key, l.wire.contents.mismatch(uint64(s.key), got))
	case s.stamp != 0 && uint32(stampOf(got)) != s.stamp:
		l.stats.wrong++
		l.stats.complain("get of key %d: a value that is not the one stored last: its stamp ends with %08x, want %08x", s.key, uint32(stampOf(got)), s.stamp)
	}
}

// done ends the request whose last slot is s.
func (l *loop) done(c *conn, s *slot, now int64, ok bool) {
	if ok && s.measured {
		l.stats.answered(s.op, s.intended, now, l.begin)
	} else if ok {
		l.warm++
	}
	if l.outage > 0 && ok {
		l.stats.outages = append(l.stats.outages, time.Duration(now-l.outage))
		l.outage = 0
	}
	c.head++
	c.requests--
	l.asked--
}
