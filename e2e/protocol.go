package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/protocol"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

const largestItem = 64 * cache.MiB // that is sent to memcached

var _ = framework.ItEach(spec.Spec{
	Title:  "memcached answers every command and every malformed request as its protocol specifies, and the connection continues",
	Covers: []spec.ReqID{"PRO-01", "PRO-02", "PRO-03", "PRO-04", "PRO-05", "PRO-06", "PRO-07", "MC-04", "MC-06"},
	Level:  spec.Must, Tags: []string{"protocol"}, Budget: 5 * time.Minute,
}.In(
	spec.Mode{ID: "PRO-01", Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume}},
	spec.Mode{ID: "PRO-01P", Profile: spec.Persistent},
), func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "PRO-01", e.Manifest(e.Spec.Profile))
	service := "Service " + d.Namespace + "/" + d.Service
	c, err := e.ConnectService(ctx, d)
	e.Require("PRO-01", "memcached answers through a port-forward to the Service", service, err, framework.Succeed)
	limit := cache.Number(e, cache.Stats(ctx, e, c, "settings"), "item_size_max")
	if limit > largestItem {
		e.NoError(fmt.Errorf("the limit for an item is %d MiB, and the spec stores no more than %d", limit/cache.MiB, largestItem/cache.MiB), "store a value just below the limit")
	}
	exchanges := protocol.Exchanges(int(limit))
	e.Step("exchange %d requests and answers", len(exchanges))
	talk := protocol.Conversation{Open: c.Session}
	defer talk.Close()
	for _, x := range exchanges {
		if x.OfOlder() {
			cache.Tick(ctx, e, c)
		}
		answer, err := talk.Exchange(ctx, x)
		if e.Expect(x.Req, fmt.Sprintf("%s: %.60q leaves the connection open", x.Check, x.Send), service, err, framework.Succeed) {
			e.Expect(x.Req, fmt.Sprintf("%s: %.60q is answered as the protocol specifies", x.Check, x.Send), service, answer, gomega.MatchRegexp(x.Pattern()))
		} else {
			// Each of the others would wait as long for a server that is silent.
			e.Require("PRO-01", "memcached answers a new connection", service, talk.Answers(ctx), framework.Succeed)
		}
	}
})
