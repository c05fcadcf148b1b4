package protocol

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/memcached/memcachedtest"
	"pmem-memcached-e2e/framework/mutant/liar"
	"pmem-memcached-e2e/framework/mutant/liar/liartest"
)

// unnoticed are faults that these exchanges are not meant to notice, by what does.
var unnoticed = map[liar.Fault]string{
	liar.Faithful:     "nobody: it is the control",
	"accepts-limits":  "EPH-03, which asks for another memory limit",
	"answers-quit":    "EPH-01, which ends a connection",
	"corrupts":        "loads, which compare each value",
	"dies":            "THR-01, which asks it more often",
	"evicts-newest":   "RST-45, which knows the order of its items",
	"loses-stores":    "loads, which know what they have stored",
	"obscures-values": "EPH-03, which searches the memory file",
	"slow":            "benchmarks, which compare with a control",
	"wrong-allocated": "EPH-25, which compares it with the memory limit",
	"wrong-limit":     "EPH-03, which compares it with the size of the memory file",
}

// TestLies holds every lying memcached against the exchanges, and says in testdata/lies.txt
// which of them each one fails. Faults that only some requests have may be seen in any of them.
func TestLies(t *testing.T) {
	all := liar.Faults()
	failures := make([][]string, len(all))
	t.Run("exchanges", func(t *testing.T) {
		for i, fault := range all {
			t.Run(string(fault), func(t *testing.T) {
				t.Parallel()
				failures[i] = lies(t, fault)
			})
		}
	})
	var b strings.Builder
	for i, fault := range all {
		failed := failures[i]
		why, may := unnoticed[fault]
		switch {
		case fault == liar.Faithful && len(failed) > 0:
			t.Errorf("the control fails %q", failed)
		case len(failed) == 0 && !may:
			t.Errorf("nothing notices a memcached where %s", fault.Describe())
		}
		fmt.Fprintf(&b, "%s: %s\n", fault, fault.Describe())
		if len(failed) == 0 {
			fmt.Fprintf(&b, "    noticed by %s\n", why)
		}
		for _, check := range failed {
			fmt.Fprintf(&b, "  %s\n", check)
		}
	}
	golden.Check(t, "lies.txt", b.String())
}

// lies are the checks that a lying memcached fails.
func lies(t *testing.T, fault liar.Fault) (failed []string) {
	addr := liartest.Start(t, memcachedtest.Start(t), fault)
	talk := Conversation{Open: func(ctx context.Context) (*memcached.Session, error) { return memcached.Open(ctx, addr) }}
	defer talk.Close()
	for _, x := range Exchanges(1 << 20) {
		answer, err := talk.Exchange(t.Context(), x)
		switch {
		case err != nil:
			failed = append(failed, fmt.Sprintf("%s %s: no answer", x.Req, x.Check))
		case !regexp.MustCompile(x.Pattern()).MatchString(answer):
			failed = append(failed, fmt.Sprintf("%s %s", x.Req, x.Check))
		}
	}
	return failed
}
