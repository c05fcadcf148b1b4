package load

import (
	"testing"
	"time"

	"pmem-memcached-e2e/framework/mutant/liar"
	"pmem-memcached-e2e/framework/mutant/liar/liartest"
)

// TestLies puts loads on lying memcacheds. A load whose keys have one owner each knows
// which value is the last one.
func TestLies(t *testing.T) {
	noticed := map[liar.Fault]bool{
		"older-value": true, "other-key": true, "corrupts": true, "truncates": true, "misses": true, "loses-stores": true,
		"drops-connection": true, liar.Faithful: false,
	}
	for _, protocol := range []Protocol{Text, Meta} {
		for fault, want := range noticed {
			t.Run(string(protocol)+"/"+string(fault), func(t *testing.T) {
				t.Parallel()
				o := Default(liartest.Start(t, realServer(t), fault))
				o.Protocol, o.Connections, o.Keys, o.Owned = protocol, 4, 200, true
				o.Gets, o.Sets, o.WarmUp, o.Duration = 1, 1, 0, 200*time.Millisecond
				var result Result
				var err error
				bad := false
				// A busy machine answers little in one run.
				for answered := int64(0); !bad && answered < 2000; answered += result.Answered() {
					result, err = Run(t.Context(), o)
					bad = err != nil || result.Wrong > 0 || result.Errors > 0 || result.Lost > 0
				}
				if bad != want {
					t.Errorf("a memcached where %s: %d wrong, %d errors, %d lost, %v", fault.Describe(), result.Wrong, result.Errors, result.Lost, err)
				}
			})
		}
	}
}
