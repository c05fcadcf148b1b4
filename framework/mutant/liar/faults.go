package liar

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Fault is the name of what is wrong.
type Fault string

// Faithful is the control: nothing is wrong.
const Faithful Fault = "none"

// Faults lists the faults and the control.
func Faults() []Fault { return slices.Sorted(maps.Keys(faults)) }

// Describe says what is wrong with a memcached that has the fault.
func (f Fault) Describe() string { return faults[f].what }

// A kind of fault changes requests, or answers to the original command, or ends a connection or
// all of them. What it remembers is that of all connections.
type kind struct {
	what   string
	delay  time.Duration
	ask    func(*memory, *request)
	before func(*memory, *request) string // quiet commands that are sent before a request
	answer func(m *memory, original string, r *request, parts []*part) []*part
	ends   func(*memory) bool // the connection
	dies   func(*memory) bool // memcached as a whole
}

func (k kind) wait(ctx context.Context) error {
	if k.delay == 0 {
		return nil
	}
	timer := time.NewTimer(k.delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func remember(m *memory, r *request) { m.store(r) }

// Shares of what is asked that fail.
const (
	oneMissIn       = 20
	oneLostIn       = 20
	oneCorruptIn    = 20
	oneConnectionIn = 50
	lastRequest     = 5000
	slowness        = 20 * time.Millisecond
)

const (
	obscuredFrom = 16      // bytes; what is shorter can be a number
	itemLimit    = 1 << 20 // bytes, memcached's default for the largest item
	mib          = 1 << 20
	hour         = "3600" // seconds
)

// each changes every value of an answer, by its key.
func each(change func(m *memory, key string, p *part)) func(*memory, string, *request, []*part) []*part {
	return func(m *memory, _ string, r *request, parts []*part) []*part {
		for _, p := range parts {
			switch {
			case p.value == nil:
			case p.fields[0] == "VALUE":
				change(m, p.fields[1], p)
			default:
				change(m, r.key(), p)
			}
		}
		return parts
	}
}

// flag changes the token of a meta answer that begins with letter.
func flag(p *part, letter string, change func(string) string) {
	if len(p.fields) == 0 || p.fields[0] != "VA" && p.fields[0] != "HD" {
		return
	}
	for i, field := range p.fields[1:] {
		if rest, ok := strings.CutPrefix(field, letter); ok {
			p.fields[i+1] = letter + change(rest)
		}
	}
}

func plus(n int64) func(string) string {
	return func(text string) string {
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return text
		}
		return strconv.FormatUint(v+uint64(n), 10)
	}
}

// becomes replaces a command by others, and their answers by those that the command has.
func becomes(verb string, ask func(*request), answers map[string]string) (func(*memory, *request), func(*memory, string, *request, []*part) []*part) {
	return func(_ *memory, r *request) {
			if r.verb() == verb {
				ask(r)
			}
		}, func(_ *memory, original string, _ *request, parts []*part) []*part {
			if original != verb {
				return parts
			}
			for i, p := range parts {
				if answer, ok := answers[strings.Join(p.fields, " ")]; ok {
					parts[i] = &part{fields: []string{answer}}
				}
			}
			return parts
		}
}

// statistics changes what is reported by some names.
func statistics(difference int64, names ...string) func(*memory, string, *request, []*part) []*part {
	return func(_ *memory, _ string, _ *request, parts []*part) []*part {
		for _, p := range parts {
			if len(p.fields) == 3 && p.fields[0] == "STAT" && slices.Contains(names, p.fields[1]) {
				p.fields[2] = plus(difference)(p.fields[2])
			}
		}
		return parts
	}
}

// obscure turns a value into another one, and that one back.
func obscure(value []byte) {
	for i := range value {
		value[i] ^= 0x55
	}
}

// expiryAt is the field with the time after which an item expires.
var expiryAt = map[string]int{"set": 3, "add": 3, "replace": 3, "cas": 3, "touch": 2, "gat": 1, "gats": 1}

// scale changes the time for which items are stored, up to 30 days; longer ones are moments.
func scale(percent int) func(*memory, *request) {
	scaled := func(text string) string {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds <= 0 || seconds > 30*24*60*60 {
			return text
		}
		return strconv.Itoa(seconds * percent / 100)
	}
	return func(_ *memory, r *request) {
		if i, ok := expiryAt[r.verb()]; ok && i < len(r.fields) {
			r.fields[i] = scaled(r.fields[i])
		}
		if r.verb() == "ms" || r.verb() == "mg" {
			if at := r.flag("T"); at >= 0 {
				r.fields[at] = "T" + scaled(r.fields[at][1:])
			}
		}
	}
}

var faults = makeFaults()

func makeFaults() map[Fault]kind {
	all := map[Fault]kind{
		Faithful: {what: "nothing is wrong"},
		"loses-flags": {what: "flags are 0", answer: func(_ *memory, _ string, _ *request, parts []*part) []*part {
			for _, p := range parts {
				if p.fields[0] == "VALUE" && len(p.fields) > 2 {
					p.fields[2] = "0"
				}
				flag(p, "f", func(string) string { return "0" })
			}
			return parts
		}},
		"older-value": {what: "a value that was changed is returned as it was before", ask: remember, answer: each(func(m *memory, key string, p *part) {
			if value, ok := m.before(key); ok {
				p.set(value)
			}
		})},
		"other-key": {what: "the value of another key is returned", ask: remember, answer: each(func(m *memory, key string, p *part) {
			if value, ok := m.other(key); ok {
				p.set(value)
			}
		})},
		"corrupts": {what: "one value in 20 has a wrong byte", answer: each(func(m *memory, _ string, p *part) {
			if m.every(oneCorruptIn) && len(p.value) > 0 {
				p.value[len(p.value)/2] ^= 1
			}
		})},
		"truncates": {what: "a value lacks its last byte", answer: each(func(_ *memory, _ string, p *part) {
			if len(p.value) > 0 {
				p.set(p.value[:len(p.value)-1])
			}
		})},
		"misses": {what: "one value in 20 is not found", answer: func(m *memory, _ string, _ *request, parts []*part) []*part {
			var kept []*part
			for _, p := range parts {
				switch {
				case p.value == nil || !m.every(oneMissIn):
					kept = append(kept, p)
				case p.fields[0] == "VA":
					kept = append(kept, &part{fields: []string{"EN"}})
				}
			}
			return kept
		}},
		"loses-stores": {what: "one value in 20 that is said to be stored is not", ask: func(m *memory, r *request) {
			if r.verb() == "set" && m.every(oneLostIn) {
				r.fields[3] = "-1" // it has expired at once
			}
			if r.verb() == "ms" && m.every(oneLostIn) {
				r.expire("-1")
			}
		}},
		"wrong-cas": {what: "the CAS value that is reported is one too high", answer: func(_ *memory, _ string, _ *request, parts []*part) []*part {
			for _, p := range parts {
				if p.fields[0] == "VALUE" && len(p.fields) == 5 {
					p.fields[4] = plus(1)(p.fields[4])
				}
				flag(p, "c", plus(1))
			}
			return parts
		}},
		"expires-early":    {what: "items expire after 90 % of their time", ask: scale(90)},
		"expires-late":     {what: "items expire after 110 % of their time", ask: scale(110)},
		"add-overwrites":   {what: "add stores although there is a value", ask: rename("add", "set")},
		"append-prepends":  {what: "append adds at the beginning", ask: rename("append", "prepend")},
		"wrong-counters":   {what: "a number grows by one more than it should", ask: func(_ *memory, r *request) { more(r) }},
		"drops-connection": {what: "the connection is closed at one request in 50", ends: func(m *memory) bool { return m.every(oneConnectionIn) }},
		"dies":             {what: "memcached ends at its 5000th request", dies: func(m *memory) bool { return m.every(lastRequest) }},
		"evicts-newest": {what: "what is stored evicts the item whose key sorts last among those that were listed", before: func(m *memory, r *request) string {
			if r.data == nil {
				return ""
			}
			if key, ok := m.takeListed(); ok {
				return "md " + key + " q" + lineEnd
			}
			return ""
		}, answer: func(m *memory, _ string, r *request, parts []*part) []*part {
			if r.dumps() {
				m.list(parts)
			}
			return parts
		}},
		"slow": {what: "each request takes 20 ms more", delay: slowness},
		"obscures-values": {what: "a value is not kept in memory as it was stored", ask: func(_ *memory, r *request) {
			if value := bytes.TrimSuffix(r.data, []byte(lineEnd)); len(value) >= obscuredFrom {
				obscure(value)
			}
		}, answer: each(func(_ *memory, _ string, p *part) {
			if len(p.value) >= obscuredFrom {
				obscure(p.value)
			}
		})},
		"cuts-values": {what: "a value above the limit is stored without its end", ask: func(_ *memory, r *request) {
			if at, stores := sizeAt[r.verb()]; stores && len(r.data) > itemLimit {
				r.data = append(bytes.Clone(r.data[:itemLimit/2]), lineEnd...)
				r.fields[at] = strconv.Itoa(itemLimit / 2)
			}
		}},
		"expires-always": {what: "an item without an expiry has one of an hour", ask: func(_ *memory, r *request) {
			if at, ok := expiryAt[r.verb()]; ok && at < len(r.fields) && r.fields[at] == "0" {
				r.fields[at] = hour
			}
			if at := r.flag("T"); r.verb() == "ms" && (at < 0 || r.fields[at] == "T0") {
				r.expire(hour)
			}
		}},
		"wrong-limit":     {what: "the memory limit that is reported is 1 MiB too low", answer: statistics(-mib, "limit_maxbytes", "maxbytes")},
		"wrong-allocated": {what: "the allocated memory that is reported is 1 MiB too high", answer: statistics(mib, "total_malloced")},
		"hides-errors": {what: "malformed requests are not answered", answer: func(_ *memory, _ string, _ *request, parts []*part) []*part {
			return slices.DeleteFunc(parts, func(p *part) bool { return p.fields[0] == "ERROR" || p.fields[0] == "CLIENT_ERROR" })
		}},
	}
	add := func(name Fault, what, verb string, ask func(*request), answers map[string]string) {
		k := kind{what: what}
		k.ask, k.answer = becomes(verb, ask, answers)
		all[name] = k
	}
	add("forgets-delete", "a deleted item remains", "delete", func(r *request) { r.fields = []string{"mg", r.key()} }, map[string]string{"HD": "DELETED", "EN": "NOT_FOUND"})
	add("forgets-meta-delete", "an item that md has deleted remains", "md", func(r *request) { r.fields = []string{"mg", r.key()} }, map[string]string{"EN": "NF"})
	add("ignores-touch", "touch does not change the time of an item", "touch", func(r *request) { r.fields = []string{"mg", r.key()} }, map[string]string{"HD": "TOUCHED", "EN": "NOT_FOUND"})
	add("ignores-flush", "flush_all does nothing", "flush_all", func(r *request) {
		quiet := slices.Contains(r.fields, "noreply")
		if r.fields = []string{"verbosity", "0"}; quiet {
			r.fields = append(r.fields, "noreply")
		}
	}, nil)
	add("accepts-limits", "a change of the memory limit is said to succeed", "cache_memlimit", func(r *request) { r.fields = []string{"verbosity", "0"} }, nil)
	add("answers-quit", "quit is answered, and the connection stays", "quit", func(r *request) { r.fields = []string{"verbosity", "0"} }, nil)
	add("ignores-cas", "cas stores although the value was changed", "cas", func(r *request) {
		if len(r.fields) > 5 {
			r.fields = slices.Delete(r.fields, 5, 6)
			r.fields[0] = "replace"
		}
	}, map[string]string{"NOT_STORED": "NOT_FOUND"})
	return all
}

func rename(from, to string) func(*memory, *request) {
	return func(_ *memory, r *request) {
		if r.verb() == from {
			r.fields[0] = to
		}
	}
}

// more has incr and ma add one more.
func more(r *request) {
	switch r.verb() {
	case "incr":
		if len(r.fields) > 2 {
			r.fields[2] = plus(1)(r.fields[2])
		}
	case "ma":
		if at := r.flag("D"); at >= 0 {
			r.fields[at] = "D" + plus(1)(r.fields[at][1:])
		}
	}
}
