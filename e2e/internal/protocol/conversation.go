// Package protocol has requests of memcached's protocol and the answers that its
// documentation specifies.
package protocol

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

// An Exchange is a request and its answer.
type Exchange struct {
	Req   spec.ReqID
	Check string   // what the exchange shows
	Send  string   // lines separated by CR LF; {name} stands for a part of an earlier answer
	want  []string // lines; one that begins with ~ is a regular expression
}

// Pattern matches the whole answer, its lines joined by line feeds.
func (x Exchange) Pattern() string {
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

// A Conversation is a session that is opened again after it has ended.
type Conversation struct {
	Open    func(context.Context) (*memcached.Session, error)
	session *memcached.Session
	parts   []string // of earlier answers: pairs of {name} and text
}

// Exchange returns the lines that the server answers, joined by line feeds. A
// command with a known answer follows, so that missing lines are not awaited.
func (c *Conversation) Exchange(ctx context.Context, x Exchange) (string, error) {
	if c.session == nil {
		s, err := c.Open(ctx)
		if err != nil {
			return "", err
		}
		c.session = s
	}
	request := strings.NewReplacer(c.parts...).Replace(x.Send)
	lines, err := c.session.Do(ctx, request+"\r\nversion", func(line string) bool { return strings.HasPrefix(line, "VERSION ") })
	if err != nil {
		c.Close()
		return "", fmt.Errorf("%w after the answer %.200q", err, strings.Join(lines, "\n"))
	}
	answer := strings.Join(lines[:len(lines)-1], "\n")
	expression := regexp.MustCompile(x.Pattern())
	if found := expression.FindStringSubmatch(answer); found != nil {
		for i, name := range expression.SubexpNames() {
			if name != "" {
				c.parts = append([]string{"{" + name + "}", found[i]}, c.parts...)
			}
		}
	}
	return answer, nil
}

// Answers returns nil if the server answers, if need be on a new connection.
func (c *Conversation) Answers(ctx context.Context) error {
	_, err := c.Exchange(ctx, Exchange{Send: "mn"})
	return err
}

// Close closes the session.
func (c *Conversation) Close() {
	if c.session != nil {
		_ = c.session.Close() // every answer was read
		c.session = nil
	}
}
