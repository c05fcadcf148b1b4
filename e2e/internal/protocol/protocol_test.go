package protocol

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/memcached/memcachedtest"
)

// TestExchanges sends the requests to the memcached of this machine, and makes
// sure that wrong answers do not match.
func TestExchanges(t *testing.T) {
	talk := Conversation{Open: opener(t)}
	defer talk.Close()
	for _, x := range Exchanges(1 << 20) {
		answer, err := talk.Exchange(t.Context(), x)
		if err != nil {
			t.Fatalf("%s: %.60q: %v", x.Check, x.Send, err)
		}
		right := regexp.MustCompile(x.Pattern())
		if !right.MatchString(answer) {
			t.Errorf("%s: %.60q is answered by %q, want %q", x.Check, x.Send, answer, x.want)
		}
		for _, wrong := range []string{answer + "\nSTORED", "BUSY " + answer, strings.ToLower(answer) + "\nx"} {
			if right.MatchString(wrong) {
				t.Errorf("%s: %.60q may be answered by %q", x.Check, x.Send, wrong)
			}
		}
	}
}

// TestLimit makes sure that a memcached that stores larger items than its settings say does not match, and neither
// does one that refuses smaller ones.
func TestLimit(t *testing.T) {
	talk := Conversation{Open: opener(t)}
	defer talk.Close()
	for limit, wrong := range map[int]string{
		512 << 10: "a value above the limit",
		2 << 20:   "a value just below the limit",
	} {
		var failed []string
		for _, x := range Exchanges(limit) {
			if x.Req != "MC-04" {
				continue
			}
			answer, err := talk.Exchange(t.Context(), x)
			if err != nil || !regexp.MustCompile(x.Pattern()).MatchString(answer) {
				failed = append(failed, x.Check)
			}
		}
		if len(failed) == 0 || failed[0] != wrong {
			t.Errorf("a limit of %d bytes: %q do not match, want %q first", limit, failed, wrong)
		}
	}
}

// TestConversationEnds makes sure that a connection that ends is reported, and
// opened again.
func TestConversationEnds(t *testing.T) {
	talk := Conversation{Open: opener(t)}
	defer talk.Close()
	if answer, err := talk.Exchange(t.Context(), Exchange{Send: "quit"}); err == nil {
		t.Errorf("after quit: %q, want an error", answer)
	}
	if _, err := talk.Exchange(t.Context(), Exchange{Send: "get k", want: []string{"END"}}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestConversationWithASilentServer(t *testing.T) {
	answering := Conversation{Open: opener(t)}
	defer answering.Close()
	if err := answering.Answers(t.Context()); err != nil {
		t.Errorf("a server that answers: %v", err)
	}

	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts connections
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	talk := Conversation{Open: func(ctx context.Context) (*memcached.Session, error) {
		return memcached.Open(ctx, silent.Addr().String())
	}}
	defer talk.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := talk.Answers(ctx); err == nil {
		t.Error("a server that is silent is said to answer")
	}
}

func opener(t *testing.T) func(context.Context) (*memcached.Session, error) {
	addr := memcachedtest.Start(t)
	return func(ctx context.Context) (*memcached.Session, error) { return memcached.Open(ctx, addr) }
}
