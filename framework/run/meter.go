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
	used := <-read
	for program := range used {
		used[program] -= before[program]
	}
	maps.DeleteFunc(used, func(_ string, t time.Duration) bool { return t <= 0 })
	r.recorder.Run(func(run *report.Run) { run.Processor = used })
	return err
}
