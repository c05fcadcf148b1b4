package run

import (
	"maps"
	"time"

	"pmem-memcached-e2e/framework/report"
)

// meterPeriod is how often a meter is read: a program that ends meanwhile, such as the
// machine of a node that is switched off, is charged with less than it has used.
const meterPeriod = 5 * time.Second

// metered records what the programs of the cluster cost while f runs.
func (r *Runner) metered(m Meter, f func() error) error {
	if m == nil {
		return f()
	}
	r.usage = &usage{meter: m, running: map[string]map[string]time.Duration{}}
	before := m.Read()
	done := make(chan struct{})
	read := make(chan map[string]time.Duration)
	go func() {
		ticker := time.NewTicker(meterPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				m.Read()
			case <-done:
				read <- m.Read()
				return
			}
		}
	}()
	err := f()
	close(done)
	used := since(<-read, before)
	r.recorder.Run(func(run *report.Run) { run.Processor = used })
	return err
}

// since is what was used between two readings.
func since(now, before map[string]time.Duration) map[string]time.Duration {
	used := maps.Clone(now)
	for program := range used {
		used[program] -= before[program]
	}
	maps.DeleteFunc(used, func(_ string, t time.Duration) bool { return t <= 0 })
	return used
}

// usage finds what the programs of the cluster cost while a spec runs that no other one runs next to.
type usage struct {
	meter Meter
	// running are the readings at the beginning of specs, by id; nil for one that another runs next to, or has.
	running map[string]map[string]time.Duration
}

func (u *usage) began(id string) {
	if len(u.running) == 0 {
		u.running[id] = u.meter.Read()
		return
	}
	u.running[id] = nil
	for other := range u.running {
		u.running[other] = nil
	}
}

// ended is what was used since the spec began, or nil when another one ran meanwhile.
func (u *usage) ended(id string) map[string]time.Duration {
	before := u.running[id]
	delete(u.running, id)
	if before == nil {
		return nil
	}
	return since(u.meter.Read(), before)
}
