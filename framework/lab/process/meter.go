package process

import (
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"
)

// tick is the unit of processor time in /proc (proc_pid_stat(5)); Linux shows 100 of
// them a second on every architecture that a lab runs on.
const tick = time.Second / 100

// Meter adds up the processor time of a lab's programs from the moment on at which
// it was made.
type Meter struct {
	programs *Group

	mu   sync.Mutex
	seen map[Process]time.Duration
	used map[string]time.Duration
}

// Meter returns one that begins now.
func (g *Group) Meter() *Meter {
	m := &Meter{programs: g, seen: map[Process]time.Duration{}, used: map[string]time.Duration{}}
	for _, p := range g.List() {
		if t, err := p.processorTime(); err == nil {
			m.seen[p] = t
		}
	}
	return m
}

// Read returns the processor time by program, in user and kernel mode. What a program
// has used between the last Read and its end is lost.
func (m *Meter) Read() map[string]time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.programs.List() {
		t, err := p.processorTime()
		if err != nil {
			continue
		}
		m.used[p.Name] += t - m.seen[p]
		m.seen[p] = t
	}
	return maps.Clone(m.used)
}

// processorTime is utime and stime, fields 14 and 15.
func (p Process) processorTime() (time.Duration, error) {
	fields, err := stat(p.PID)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time of process %d: %w", p.PID, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
