package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "PRO-01", Title: "memcached answers every command and every mistake as its protocol says, and the connection goes on",
	Covers: []spec.ReqID{"PRO-01", "PRO-02", "PRO-03", "PRO-04", "PRO-05", "PRO-06", "PRO-07", "MC-04", "MC-06"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"protocol"}, Budget: 5 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "PRO-01", e.Manifest(spec.Ephemeral))
	service := "Service " + d.Namespace + "/" + d.Service
	c, err := e.ConnectService(ctx, d)
	e.Require("PRO-01", "memcached answers at the near end of a port-forward to the Service", service, err, framework.Succeed)
	e.Step("exchange %d requests and answers", len(exchanges))
	talk := conversation{addr: c.Addr}
	defer talk.close()
	for _, x := range exchanges {
		answer, err := talk.exchange(ctx, x)
		if e.Expect(x.req, fmt.Sprintf("%s: %.60q leaves the connection open (answer %.200q)", x.says, x.send, answer), service, err, framework.Succeed) {
			e.Expect(x.req, fmt.Sprintf("%s: %.60q is answered as the protocol says", x.says, x.send), service, answer, gomega.MatchRegexp(x.pattern()))
		}
	}
})

// An exchange is a request and what has to come back.
type exchange struct {
	req  spec.ReqID
	says string
	send string   // lines separated by CR LF; {name} stands for what an earlier answer told
	want []string // lines; one that begins with ~ is a regular expression
}

// pattern matches the whole answer, its lines joined by line feeds.
func (x exchange) pattern() string {
	parts := make([]string, len(x.want))
	for i, line := range x.want {
		if expression, ok := strings.CutPrefix(line, "~"); ok {
			parts[i] = expression
		} else {
			parts[i] = regexp.QuoteMeta(line)
		}
	}
	return `\A` + strings.Join(parts, "\n") + `\z`
}

// A conversation is a session that is opened again after it has ended.
type conversation struct {
	addr    string
	session *memcached.Session
	told    []string // pairs of {name} and text
}

// exchange returns the lines that the server answers, joined by line feeds. A
// command with a known answer follows, so that missing lines are not awaited.
func (c *conversation) exchange(ctx context.Context, x exchange) (string, error) {
	if c.session == nil {
		s, err := memcached.Open(ctx, c.addr)
		if err != nil {
			return "", err
		}
		c.session = s
	}
	request := strings.NewReplacer(c.told...).Replace(x.send)
	lines, err := c.session.Do(ctx, request+"\r\nversion", func(line string) bool { return strings.HasPrefix(line, "VERSION ") })
	if err != nil {
		c.close()
		return strings.Join(lines, "\n"), err
	}
	answer := strings.Join(lines[:len(lines)-1], "\n")
	expression := regexp.MustCompile(x.pattern())
	if found := expression.FindStringSubmatch(answer); found != nil {
		for i, name := range expression.SubexpNames() {
			if name != "" {
				c.told = append([]string{"{" + name + "}", found[i]}, c.told...)
			}
		}
	}
	return answer, nil
}

func (c *conversation) close() {
	if c.session != nil {
		_ = c.session.Close() // what was to be heard was heard
		c.session = nil
	}
}
