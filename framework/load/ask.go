package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"pmem-memcached-e2e/framework/memcached"
)

// Server is what a server reports about itself in its stats and stats settings.
// The zero value is a server that does not.
type Server struct {
	Version        string `json:"version"`
	Limit          int64  `json:"limit"`          // bytes of all pages of the cache, -m
	ItemMax        int64  `json:"itemMax"`        // bytes of an item, -I
	MaxConnections int    `json:"maxConnections"` // -c
	Connections    int    `json:"connections"`    // in use when it was asked, without the one that asked
	Threads        int    `json:"threads"`
	MemoryFile     string `json:"memoryFile,omitempty"` // -e; empty: none
	Items          int64  `json:"items"`
	Evictions      int64  `json:"evictions"` // since its start

	// What the sizes of the chunks follow from.
	GrowthFactor float64 `json:"growthFactor"`
	ChunkSize    int     `json:"chunkSize"` // bytes of the smallest chunk besides the item's header
	ChunkMax     int     `json:"chunkMax"`  // bytes of the largest
	CAS          bool    `json:"cas"`
}

// Ask asks the server at addr, host:port, what it can do.
func Ask(ctx context.Context, addr string) (Server, error) {
	session, err := memcached.Open(ctx, addr)
	if err != nil {
		return Server{}, fmt.Errorf("ask the server: %w", err)
	}
	defer session.Close()
	general, err := session.Stats(ctx, "")
	if err != nil {
		return Server{}, fmt.Errorf("ask the server: %w", err)
	}
	settings, err := session.Stats(ctx, "settings")
	if err != nil {
		return Server{}, fmt.Errorf("ask the server: %w", err)
	}
	s, err := parseServer(general, settings)
	if err != nil {
		return Server{}, fmt.Errorf("ask the server at %s: %w", addr, err)
	}
	return s, nil
}

// parseServer reads the answers of memcached 1.6: doc/protocol.txt, "General-purpose
// statistics" and "Settings statistics". What an answer lacks is an error.
func parseServer(general, settings map[string]string) (Server, error) {
	var errs []error
	number := func(from map[string]string, name string) int64 {
		n, err := strconv.ParseInt(from[name], 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is %q, want a number", name, from[name]))
		}
		return n
	}
	s := Server{
		Version:        general["version"],
		Limit:          number(settings, "maxbytes"),
		ItemMax:        number(settings, "item_size_max"),
		MaxConnections: int(number(settings, "maxconns")),
		Connections:    max(int(number(general, "curr_connections"))-1, 0),
		Threads:        int(number(settings, "num_threads")),
		Items:          number(general, "curr_items"),
		Evictions:      number(general, "evictions"),
		ChunkSize:      int(number(settings, "chunk_size")),
		ChunkMax:       int(number(settings, "slab_chunk_max")),
		CAS:            settings["cas_enabled"] == "yes",
	}
	if file := settings["memory_file"]; file != "(null)" {
		s.MemoryFile = file
	}
	var err error
	if s.GrowthFactor, err = strconv.ParseFloat(settings["growth_factor"], 64); err != nil {
		errs = append(errs, fmt.Errorf("growth_factor is %q, want a number", settings["growth_factor"]))
	}
	if len(errs) == 0 && (s.GrowthFactor <= 1 || s.ChunkMax < pageSize/maxClasses) {
		errs = append(errs, fmt.Errorf("chunks grow by %g up to %d bytes, want more than 1 and %d", s.GrowthFactor, s.ChunkMax, pageSize/maxClasses))
	}
	return s, errors.Join(errs...)
}

// Against returns a *FieldError for each option that cannot work with s,
// joined. A server that reported nothing is one with which everything may work.
func (o Options) Against(s Server) error {
	if s == (Server{}) {
		return nil
	}
	var errs []error
	refuse := func(field string, value any, remedy string, args ...any) {
		errs = append(errs, &FieldError{field, fmt.Sprint(value), fmt.Sprintf(remedy, args...)})
	}
	if most := s.ItemMax - int64(s.itemSize(o.KeySize, 0)); int64(o.Values.max) > most {
		refuse("Values", o.Values, "give up to %d bytes: the server takes items of %d with key and header, or raise its -I", max(most, 0), s.ItemMax)
	}
	// One more asks for the server's processor time.
	if free := s.MaxConnections - s.Connections - 1; o.Connections > free {
		refuse("Connections", o.Connections, "give up to %d: the server takes %d and has %d, and one is for its stats; or raise its -c", max(free, 0), s.MaxConnections, s.Connections)
	}
	if o.Keys > 0 && !o.MayMiss {
		d := s.demand(o)
		if pages := s.pages(); d.least(o.Keys) > pages {
			remedy := "give fewer"
			if most := d.most(pages); most > 0 {
				remedy = fmt.Sprintf("give about %d", most)
			}
			refuse("Keys", o.Keys, "%s: such items need %d pages of the cache and its limit is %d; or raise its -m, or set MayMiss", remedy, d.pages(o.Keys), pages)
		}
	}
	return errors.Join(errs...)
}

// Filled is o with the number of keys of which the items take the share Fill of
// the limit of s, were there no others, or all pages that can be theirs. The error is a *FieldError.
func (o Options) Filled(s Server) (Options, error) {
	if o.Fill == 0 {
		return o, nil
	}
	refuse := func(remedy string, args ...any) (Options, error) {
		return o, &FieldError{"Fill", strconv.FormatFloat(o.Fill, 'g', -1, 64), fmt.Sprintf(remedy, args...)}
	}
	if s == (Server{}) {
		return refuse("give Keys instead: the server does not tell its limit")
	}
	filled, d := o, s.demand(o)
	filled.Keys, filled.Fill = d.most(min(int64(o.Fill*float64(s.pages())), s.pages()-s.taken(d))), 0
	switch filled.Keys {
	case 0:
		return refuse("give more: this share of %d pages holds no item; %d of them belong to chunks of other sizes", s.pages(), s.taken(d))
	case math.MaxUint32:
		return refuse("give less, or longer values: it makes more than %d keys", filled.Keys)
	}
	if err := filled.Validate(); err != nil {
		return refuse("give another share: it makes %d keys: %v", filled.Keys, err)
	}
	return filled, nil
}

// settle is for how long a server may take to see that connections have ended.
const settle = time.Second

// consult asks the server before a load and refuses what cannot work. A server
// that gives no statistics may be loadable all the same, and this is noted.
func consult(ctx context.Context, o Options) (Server, []string, error) {
	tick := time.NewTicker(settle / 20)
	defer tick.Stop()
	for limit := time.Now().Add(settle); ; <-tick.C {
		asked, cancel := context.WithTimeout(ctx, o.Timeout)
		s, err := Ask(asked, o.Addr)
		cancel()
		switch {
		case ended(ctx):
			return s, nil, fmt.Errorf("load %s: %w", o.Addr, context.Cause(ctx))
		case err != nil:
			return Server{}, []string{fmt.Sprintf("the options were not checked against the server: %v", err)}, nil
		}
		err = o.Against(s)
		if err == nil {
			return s, nil, nil
		}
		// Those of an earlier load may still be counted.
		if !refused(err, "Connections") || o.Connections >= s.MaxConnections || time.Now().After(limit) {
			return s, nil, fmt.Errorf("load %s: %w", o.Addr, err)
		}
	}
}

// refused reports whether one of the errors is about the field.
func refused(err error, field string) bool {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(list.Unwrap(), func(err error) bool { return refused(err, field) })
	}
	var about *FieldError
	return errors.As(err, &about) && about.Field == field
}

// ended reports whether ctx has ended, or does so now: a connection with its deadline may notice that first.
func ended(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// kept is an error when the server has evicted items while the keys were
// stored, unless they may be missed.
func kept(ctx context.Context, o Options, before Server) error {
	if o.MayMiss || before == (Server{}) {
		return nil
	}
	asked, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	after, err := Ask(asked, o.Addr)
	if err != nil && ended(ctx) {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("load %s: after the keys were stored: %w", o.Addr, err)
	}
	evicted := after.Evictions - before.Evictions
	if evicted <= 0 {
		return nil
	}
	return fmt.Errorf("load %s: %d items were evicted while %d keys were stored, and the cache seems to hold about %d: give fewer keys, empty the cache first, or set MayMiss",
		o.Addr, evicted, o.Keys, max(min(after.Items, o.Keys), 0))
}
