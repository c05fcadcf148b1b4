package bench

import (
	"time"

	"pmem-memcached-e2e/framework/load"
)

// Scenario is a kind of load.
type Scenario struct {
	Name    string
	Meaning string // what it stands for, a few words

	Load load.Options // without address, and with the times of one sample
	// Stored is how many of the keys are stored before; 0: all.
	Stored int64
}

// storing is a load that stores the keys and measures as little as can be.
func (s Scenario) storing(addr string) load.Options {
	o := s.Load
	o.Addr, o.WarmUp, o.Duration = addr, 0, 100*time.Millisecond
	if s.Stored > 0 {
		o.Keys = s.Stored
	}
	return o
}

func (s Scenario) measuring(addr string, rate float64) load.Options {
	o := s.Load
	o.Addr, o.Rate, o.Preloaded = addr, rate, true
	return o
}

const (
	largeValue = 100_000 // bytes
	churnValue = 10_000
	churnShare = 2 // of what the cache holds is asked for by churn
)

// Scenarios are the loads of a full benchmark on a cache of limit bytes, each
// sample d long. All their keys fit at the same time but those of the last,
// which push out everything.
func Scenarios(limit int64, d time.Duration) []Scenario {
	miss := newScenario("mostly-miss", "9 of 10 gets find nothing", d, func(o *load.Options) { o.Gets, o.Sets, o.MayMiss = 1, 0, true })
	miss.Stored = miss.Load.Keys / 10
	return []Scenario{
		GetHeavy(d),
		newScenario("mixed", "as many sets as gets", d, func(o *load.Options) { o.Gets, o.Sets = 1, 1 }),
		newScenario("set-heavy", "a cache that is being filled", d, func(o *load.Options) { o.Gets, o.Sets = 1, 9 }),
		newScenario("large-values", "values of 100 kB", d, func(o *load.Options) { o.Keys, o.Values = 100, load.Fixed(largeValue) }),
		newScenario("multiget", "many keys at once", d, func(o *load.Options) { o.Gets, o.Sets, o.Multiget, o.Values = 1, 0, 16, load.Fixed(100) }),
		miss,
		newScenario("churn", "twice what the cache holds, so that items are evicted all the time", d, func(o *load.Options) {
			o.Gets, o.Sets, o.MayMiss, o.Values = 1, 1, true, load.Fixed(churnValue)
			o.Keys = max(churnShare*limit/churnValue, 1)
		}),
	}
}

// GetHeavy is the general-purpose cache of Atikoglu and others, SIGMETRICS
// 2012: 30 gets to a set, many small values and few large ones; with a
// popularity as in production, Yang, Yue, Rashmi, OSDI 2020.
func GetHeavy(d time.Duration) Scenario {
	return newScenario("get-heavy", "a general-purpose cache", d, func(o *load.Options) {
		o.Keys, o.Values, o.Popular, o.Gets, o.Sets = 20000, load.Etc(4000), load.Zipf(0.99), 30, 1
	})
}

// Filling fills four fifths of a cache, whatever its size.
func Filling(d time.Duration) Scenario {
	return newScenario("filling", "a full cache", d, func(o *load.Options) {
		o.Gets, o.Sets, o.Values, o.Keys, o.Fill = 1, 0, load.Fixed(churnValue), 0, 0.8
	})
}

// newScenario begins with 9 gets to a set of values of 100 to 1000 bytes.
func newScenario(name, meaning string, d time.Duration, change func(*load.Options)) Scenario {
	o := load.Default("")
	o.Prefix = name + "-"
	o.KeySize = len(o.Prefix) + 8
	o.Connections, o.WarmUp, o.Duration, o.Timeout = 16, d/4, d, 30*time.Second
	o.Keys, o.Values = 10000, load.Between(100, 1000)
	change(&o)
	return Scenario{Name: name, Meaning: meaning, Load: o}
}
