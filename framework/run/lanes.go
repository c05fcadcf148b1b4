package run

import (
	"fmt"
	"sync"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// lanes is how many processes share the specs of a plan: no more than there
// are specs that run next to others.
func lanes(parallel int, plan []spec.Planned) int {
	shared := 0
	for _, p := range plan {
		if p.Outcome == "" && !p.RunsAlone() {
			shared++
		}
	}
	return max(min(parallel, shared), 1)
}

// logOf is the name of the log of a lane, from 0.
func logOf(lane int) string {
	if lane == 0 {
		return suiteLog
	}
	return fmt.Sprintf("suite-%d.log", lane+1)
}

// suiteLogs are the names of all logs that a run can write.
func suiteLogs() []string {
	var names []string
	for lane := range config.MaxParallel {
		names = append(names, logOf(lane))
	}
	return names
}

// merged takes the events of several processes, each of which reports the
// beginning and the end of its suite, to a function that sees one suite.
type merged struct {
	to func(report.Event)

	mu     sync.Mutex
	begun  bool
	ended  map[int]bool // by lane
	lanes  int
	leaked map[report.Leak]bool // that a spec has reported
}

func newMerged(lanes int, to func(report.Event)) *merged {
	return &merged{to: to, ended: map[int]bool{}, lanes: lanes, leaked: map[report.Leak]bool{}}
}

func (m *merged) record(lane int, e report.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.Kind {
	case report.SuiteStarted:
		if m.begun {
			return
		}
		m.begun = true
	case report.SpecEnded:
		if e.Result == nil {
			break
		}
		e.Result.Lane = lane
		for _, l := range e.Result.Leaks {
			m.leaked[l.Place()] = true
		}
	case report.LeakFound:
		// The process that compares at the end does not know what the specs of the others have reported.
		if e.Leak != nil && m.leaked[e.Leak.Place()] {
			return
		}
	case report.SuiteEnded:
		if m.ended[lane] = true; len(m.ended) < m.lanes {
			return
		}
	}
	m.to(e)
}

func (m *merged) hasEnded(lane int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended[lane]
}
