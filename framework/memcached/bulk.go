package memcached

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Batches are sent as one request of many quiet meta commands, which memcached
// answers only where something is to be reported, and mn, whose answer ends it
// (protocol.txt, "Meta commands"; memcached 1.6 and later).
const (
	batchKeys  = 500
	batchBytes = 1 << 20 // of the values in a batch
)

// StoreMany stores items unconditionally, as Set does. The error is about the
// first one that the server refused.
func (s *Session) StoreMany(ctx context.Context, items []Item) error {
	for len(items) > 0 {
		var b strings.Builder
		n := 0
		for ; n < len(items) && n < batchKeys && b.Len() < batchBytes; n++ {
			i := items[n]
			fmt.Fprintf(&b, "ms %s %d F%d T%d q\r\n", i.Key, len(i.Value), i.Flags, i.Expiration)
			b.Write(i.Value)
			b.WriteString("\r\n")
		}
		b.WriteString("mn\r\n")
		lines, err := s.Do(ctx, b.String(), Line("MN"))
		if err != nil {
			return fmt.Errorf("store %d items from %s on: %w", n, items[0].Key, err)
		}
		if lines[0] != "MN" {
			return fmt.Errorf("memcached at %s: store %d items from %s on: answered %.80q", s.addr, n, items[0].Key, lines[0])
		}
		items = items[n:]
	}
	return nil
}

// FetchMany calls found for each of the keys that has an item. Values must not
// have line feeds in them.
func (s *Session) FetchMany(ctx context.Context, keys []string, found func(Item)) error {
	for len(keys) > 0 {
		n := min(len(keys), batchKeys)
		var b strings.Builder
		for _, key := range keys[:n] {
			fmt.Fprintf(&b, "mg %s k f c v q\r\n", key)
		}
		b.WriteString("mn\r\n")
		lines, err := s.Do(ctx, b.String(), Line("MN"))
		if err == nil {
			err = parseValues(lines, found)
		}
		if err != nil {
			return fmt.Errorf("fetch %d keys from %s on: %w", n, keys[0], err)
		}
		keys = keys[n:]
	}
	return nil
}

// parseValues reads pairs of lines, "VA size flags" and a value, up to MN.
func parseValues(lines []string, found func(Item)) error {
	for n := 0; n < len(lines); n += 2 {
		if lines[n] == "MN" && n == len(lines)-1 {
			return nil
		}
		words := strings.Fields(lines[n])
		if len(words) < 2 || words[0] != "VA" || n+2 > len(lines) {
			return fmt.Errorf("answered %.80q, want VA", lines[n])
		}
		i := Item{Value: []byte(lines[n+1])}
		var errs [3]error
		for _, w := range words[2:] {
			switch w[0] {
			case 'k':
				i.Key = w[1:]
			case 'f':
				var flags uint64
				flags, errs[0] = strconv.ParseUint(w[1:], 10, 32)
				i.Flags = uint32(flags)
			case 'c':
				i.CasID, errs[1] = strconv.ParseUint(w[1:], 10, 64)
			}
		}
		if size, err := strconv.Atoi(words[1]); err != nil || size != len(i.Value) {
			errs[2] = fmt.Errorf("%d bytes of value", len(i.Value))
		}
		if err := errors.Join(errs[:]...); err != nil {
			return fmt.Errorf("answered %.80q: %w", lines[n], err)
		}
		found(i)
	}
	return fmt.Errorf("answered %d lines without MN at the end", len(lines))
}

// Metadata is what memcached knows of an item besides its value.
type Metadata struct {
	Expires int64 // Unix time in seconds; -1: never
	CAS     uint64
	Size    int64 // bytes, key and header included
}

// ErrBusy reports that memcached's crawler does something else.
var ErrBusy = errors.New("the LRU crawler is busy")

// Metadump lists all items that are neither expired nor flushed, without an
// effect on them. The error is ErrBusy when it has to be asked again.
func (s *Session) Metadump(ctx context.Context) (map[string]Metadata, error) {
	const request = "lru_crawler metadump all"
	lines, err := s.Do(ctx, request, endsDump)
	if err != nil {
		return nil, err
	}
	items, err := parseDump(lines)
	if err != nil && !errors.Is(err, ErrBusy) {
		err = fmt.Errorf("memcached at %s: %s: %w", s.addr, request, err)
	}
	return items, err
}

// begun is what memcached says before the items, from a release between 1.6.38
// and 1.6.45 on.
const begun = "OK"

func endsDump(line string) bool { return line != begun && !strings.HasPrefix(line, "key=") }

func parseDump(lines []string) (map[string]Metadata, error) {
	last := lines[len(lines)-1]
	switch {
	case strings.HasPrefix(last, "BUSY"):
		return nil, ErrBusy
	case last != "END":
		return nil, fmt.Errorf("answered %.80q", last)
	}
	lines = lines[:len(lines)-1]
	if len(lines) > 0 && lines[0] == begun {
		lines = lines[1:]
	}
	items := make(map[string]Metadata, len(lines))
	for _, line := range lines {
		key, m, err := parseMetadata(line)
		if err != nil {
			return nil, err
		}
		items[key] = m
	}
	return items, nil
}

// parseMetadata reads "key=a exp=-1 la=1 cas=2 fetch=no cls=1 size=63", of
// which the key is encoded as in URLs.
func parseMetadata(line string) (key string, m Metadata, err error) {
	var errs [4]error
	for word := range strings.FieldsSeq(line) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "key":
			key, errs[0] = url.PathUnescape(value)
		case "exp":
			m.Expires, errs[1] = strconv.ParseInt(value, 10, 64)
		case "cas":
			m.CAS, errs[2] = strconv.ParseUint(value, 10, 64)
		case "size":
			m.Size, errs[3] = strconv.ParseInt(value, 10, 64)
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return "", m, fmt.Errorf("answered %.120q: %w", line, err)
	}
	return key, m, nil
}

// DeleteMany removes the items of keys; keys without one are no error.
func (s *Session) DeleteMany(ctx context.Context, keys []string) error {
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, "md %s q\r\n", key)
	}
	b.WriteString("mn\r\n")
	_, err := s.Do(ctx, b.String(), Line("MN"))
	return err
}
