package e2e

import (
	"regexp"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/memcached/memcachedtest"
)

// TestExchanges asks the memcached of this machine, and makes sure that other
// answers are told from right ones.
func TestExchanges(t *testing.T) {
	talk := conversation{addr: memcachedtest.Start(t)}
	defer talk.close()
	for _, x := range exchanges {
		answer, err := talk.exchange(t.Context(), x)
		if err != nil {
			t.Fatalf("%s: %.60q: %v", x.says, x.send, err)
		}
		right := regexp.MustCompile(x.pattern())
		if !right.MatchString(answer) {
			t.Errorf("%s: %.60q is answered by %q, want %q", x.says, x.send, answer, x.want)
		}
		for _, wrong := range []string{answer + "\nSTORED", "BUSY " + answer, strings.ToLower(answer) + "\nx"} {
			if right.MatchString(wrong) {
				t.Errorf("%s: %.60q may be answered by %q", x.says, x.send, wrong)
			}
		}
	}
}

// TestConversationEnds makes sure that a connection which does not go on is
// noticed, and opened again.
func TestConversationEnds(t *testing.T) {
	talk := conversation{addr: memcachedtest.Start(t)}
	defer talk.close()
	if answer, err := talk.exchange(t.Context(), exchange{send: "quit"}); err == nil {
		t.Errorf("after quit: %q, want an error", answer)
	}
	if _, err := talk.exchange(t.Context(), exchange{send: "get k", want: []string{"END"}}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
