// Package protocol has requests of memcached's protocol and the answers to
// them.
package protocol

import (
	"context"
	"regexp"
	"strings"

	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

// An Exchange is a request and what has to come back.
type Exchange struct {
	Req   spec.ReqID
	Check string
	Send  string   // lines separated by CR LF; {name} stands for what an earlier answer told
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
	Addr    string
	session *memcached.Session
	told    []string // pairs of {name} and text
}

// Exchange returns the lines that the server answers, joined by line feeds. A
// command with a known answer follows, so that missing lines are not awaited.
func (c *Conversation) Exchange(ctx context.Context, x Exchange) (string, error) {
	if c.session == nil {
		s, err := memcached.Open(ctx, c.Addr)
		if err != nil {
			return "", err
		}
		c.session = s
	}
	request := strings.NewReplacer(c.told...).Replace(x.Send)
	lines, err := c.session.Do(ctx, request+"\r\nversion", func(line string) bool { return strings.HasPrefix(line, "VERSION ") })
	if err != nil {
		c.Close()
		return strings.Join(lines, "\n"), err
	}
	answer := strings.Join(lines[:len(lines)-1], "\n")
	expression := regexp.MustCompile(x.Pattern())
	if found := expression.FindStringSubmatch(answer); found != nil {
		for i, name := range expression.SubexpNames() {
			if name != "" {
				c.told = append([]string{"{" + name + "}", found[i]}, c.told...)
			}
		}
	}
	return answer, nil
}

func (c *Conversation) Close() {
	if c.session != nil {
		_ = c.session.Close() // what was to be heard was heard
		c.session = nil
	}
}
