// Package load is a load generator for memcached. Each of its threads drives
// many connections from one event loop; requests are pipelined, arrive in a
// closed or an open loop, and every value that comes back is compared with
// what must be stored under its key.
package load

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"time"
)

// Protocol is the form of the requests.
type Protocol string

const (
	Text Protocol = "text" // classic: get, set, delete
	Meta Protocol = "meta" // mg, ms, md; several keys at once as quiet commands
)

// Arrivals says how the intended times of an open loop are spaced.
type Arrivals string

const (
	Poisson  Arrivals = "poisson" // exponentially distributed gaps
	Constant Arrivals = "constant"
)

// Limits of memcached, doc/protocol.txt, and of a value that can be verified.
const (
	maxKeySize   = 250
	minValueSize = headerSize
	maxValueSize = 1 << 30
)

// Options describes a load. Zero values take the defaults of Default. In JSON
// durations are in nanoseconds.
type Options struct {
	Addr        string   `json:"addr"` // host:port of the server
	Protocol    Protocol `json:"protocol"`
	Connections int      `json:"connections"`
	Threads     int      `json:"threads"` // event loops; the connections are dealt out among them

	// Depth is the number of requests that a connection of a closed loop keeps
	// in flight. Multiget is the number of keys of each get.
	Depth    int `json:"depth"`
	Multiget int `json:"multiget"`

	// Rate is the number of requests a second of an open loop, of all
	// connections together; 0 is a closed loop. Latency counts from the
	// intended start of a request, whether or not it could be sent then.
	Rate     float64  `json:"rate"`
	Arrivals Arrivals `json:"arrivals"`

	Keys    int64        `json:"keys"`
	Fill    float64      `json:"fill,omitempty"` // share of the server's limit that sets the number of keys; 0: none, Keys does
	KeySize int          `json:"keySize"`        // bytes
	Prefix  string       `json:"prefix"`         // of every key, so that loads do not meet
	Popular Distribution `json:"popular"`
	Values  Sizes        `json:"values"`

	// Gets, Sets and Deletes are shares of the requests, in any unit.
	Gets    int           `json:"gets"`
	Sets    int           `json:"sets"`
	Deletes int           `json:"deletes"`
	Expiry  time.Duration `json:"expiry"` // of what is stored; 0: none

	// Owned gives each connection keys that no other asks for, so that a value
	// is wrong, too, when it is not the one stored last.
	Owned bool `json:"owned"`
	// MayMiss means that a get may find nothing, because keys expire, are
	// deleted or evicted, or were not all stored. Else a miss is a wrong answer.
	MayMiss bool `json:"mayMiss"`
	// Preloaded means that an earlier load has stored the keys.
	Preloaded bool `json:"preloaded"`
	// Verify compares one value in so many with what must be there; 1: all.
	Verify int `json:"verify"`

	WarmUp time.Duration `json:"warmUp"` // not measured
	// SteadyWithin prolongs the warm-up until the throughput is steady, by so
	// much at most; 0: not at all.
	SteadyWithin time.Duration `json:"steadyWithin,omitempty"`

	Duration time.Duration `json:"duration"` // measured
	Timeout  time.Duration `json:"timeout"`  // without any answer on a connection
	Seed     uint64        `json:"seed"`     // the order of requests follows from it

	// Client is one of Clients, from 0 on, that load the server at the same
	// time; each stores its share of the keys. 0 of 0 is alone.
	Client  int `json:"client"`
	Clients int `json:"clients"`
}

// Default is 32 connections in a closed loop with 9 gets to a set.
func Default(addr string) Options {
	return Options{
		Addr: addr, Protocol: Meta, Connections: 32, Threads: 1, Depth: 1, Multiget: 1, Arrivals: Poisson,
		Keys: 10000, KeySize: 24, Prefix: "load-", Popular: Uniform(), Values: Fixed(100),
		Gets: 9, Sets: 1, Verify: 1, WarmUp: time.Second, Duration: 10 * time.Second, Timeout: 10 * time.Second, Seed: 1,
	}
}

// FieldError is about one of the options.
type FieldError struct {
	Field  string
	Value  string
	Remedy string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s=%q: %s", e.Field, e.Value, e.Remedy) }

// Validate returns a *FieldError for each option that makes no sense, joined.
func (o Options) Validate() error {
	var errs []error
	refuse := func(bad bool, field string, value any, remedy string, args ...any) {
		if bad {
			errs = append(errs, &FieldError{field, fmt.Sprint(value), fmt.Sprintf(remedy, args...)})
		}
	}
	_, _, err := net.SplitHostPort(o.Addr)
	refuse(err != nil, "Addr", o.Addr, "give host:port")
	refuse(o.Protocol != Text && o.Protocol != Meta, "Protocol", o.Protocol, "give text or meta")
	refuse(o.Connections < 1 || o.Connections > 65000, "Connections", o.Connections, "give 1 to 65000")
	refuse(o.Threads < 1 || o.Threads > o.Connections, "Threads", o.Threads, "give 1 to the number of connections, %d", o.Connections)
	refuse(o.Depth < 1 || o.Depth > 4096, "Depth", o.Depth, "give 1 to 4096")
	refuse(o.Multiget < 1 || o.Multiget > 1000, "Multiget", o.Multiget, "give 1 to 1000")
	refuse(o.Rate < 0 || math.IsNaN(o.Rate) || o.Rate > 1e8, "Rate", o.Rate, "give requests a second up to 1e8, or 0 for a closed loop")
	refuse(o.Arrivals != Poisson && o.Arrivals != Constant, "Arrivals", o.Arrivals, "give poisson or constant")
	refuse(o.Fill == 0 && (o.Keys < 1 || o.Keys > math.MaxUint32), "Keys", o.Keys, "give 1 to %d", uint32(math.MaxUint32))
	refuse(o.Fill != 0 && o.Keys != 0, "Keys", o.Keys, "leave it out: Fill, which is %g, sets it", o.Fill)
	refuse(!(o.Fill >= 0 && o.Fill <= 1), "Fill", o.Fill, "give a share of the server's limit up to 1, or 0 to set Keys")
	shortest := len(o.Prefix) + digits(o.Keys)
	refuse(o.KeySize < shortest || o.KeySize > maxKeySize, "KeySize", o.KeySize, "give %d, which %d keys with prefix %q need, to %d", shortest, o.Keys, o.Prefix, maxKeySize)
	refuse(strings.ContainsFunc(o.Prefix, func(r rune) bool { return r <= ' ' || r == 0x7f }), "Prefix", o.Prefix, "leave out blanks and control characters")
	keys := o.Keys
	if o.Fill > 0 {
		keys = math.MaxUint32 // looked at again when they are known
	}
	if err := o.Popular.validate(keys); err != nil {
		errs = append(errs, err)
	}
	if err := o.Values.validate(); err != nil {
		errs = append(errs, err)
	}
	refuse(o.Gets < 0 || o.Sets < 0 || o.Deletes < 0 || o.Gets+o.Sets+o.Deletes == 0, "Gets:Sets:Deletes",
		fmt.Sprintf("%d:%d:%d", o.Gets, o.Sets, o.Deletes), "give shares of 0 or more, not all 0")
	refuse(o.Expiry < 0 || o.Expiry%time.Second != 0 || o.Expiry > 30*24*time.Hour, "Expiry", o.Expiry, "give whole seconds up to 720h")
	refuse(!o.MayMiss && (o.Expiry > 0 || o.Deletes > 0), "MayMiss", o.MayMiss, "set it: keys that expire or are deleted will be missed")
	refuse(o.Clients < 0 || o.Clients > 1000, "Clients", o.Clients, "give 0 to 1000")
	refuse(o.Client < 0 || o.Client >= max(o.Clients, 1), "Client", o.Client, "give 0 to %d, one less than the number of clients", max(o.Clients, 1)-1)
	owners := max(o.Clients, 1) * o.Connections
	refuse(o.Owned && keys < int64(owners), "Keys", o.Keys, "give at least one for each of %d connections", owners)
	refuse(o.Owned && o.Preloaded, "Preloaded", o.Preloaded, "leave it out: with owned keys a value is right when this load has stored it")
	refuse(o.SteadyWithin > 0 && o.Clients > 1, "SteadyWithin", o.SteadyWithin, "leave it out: several clients begin to measure at one time")
	refuse(o.Verify < 1, "Verify", o.Verify, "give 1 for every value, or n for one in n")
	refuse(o.WarmUp < 0, "WarmUp", o.WarmUp, "give 0 or more")
	refuse(o.SteadyWithin < 0, "SteadyWithin", o.SteadyWithin, "give 0 or more")
	refuse(o.Duration <= 0, "Duration", o.Duration, "give more than 0")
	refuse(o.Timeout <= 0, "Timeout", o.Timeout, "give more than 0")
	return errors.Join(errs...)
}

func digits(keys int64) int {
	n := 1
	for ; keys > 16; keys = (keys + 15) / 16 {
		n++
	}
	return n
}
