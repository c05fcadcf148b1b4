package liar

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// memory is what the liar has seen.
type memory struct {
	mu      sync.Mutex
	values  map[string][2][]byte // by key: the value before the last one, and the last
	recent  [2]string            // the keys that were stored last, the last one first
	counted int
	listed  []string // the keys of the last listing, sorted
}

// store remembers a value.
func (m *memory) store(r *request) {
	if r.data == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[string][2][]byte{}
	}
	key := r.key()
	m.values[key] = [2][]byte{m.values[key][1], bytes.TrimSuffix(r.data, []byte(lineEnd))}
	if m.recent[0] != key {
		m.recent = [2]string{key, m.recent[0]}
	}
}

// before is the value before the last one.
func (m *memory) before(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := m.values[key][0]
	return value, value != nil
}

// other is the value of another key.
func (m *memory) other(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, recent := range m.recent {
		if recent != "" && recent != key {
			return m.values[recent][1], true
		}
	}
	return nil, false
}

// every reports whether this is one time in n.
func (m *memory) every(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counted++
	return m.counted%n == 0
}

// list remembers the keys of a listing.
func (m *memory) list(parts []*part) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed = nil
	for _, p := range parts {
		if key, found := strings.CutPrefix(p.fields[0], "key="); found {
			m.listed = append(m.listed, key)
		}
	}
	slices.Sort(m.listed)
}

// takeListed returns the last key that was listed and forgets it.
func (m *memory) takeListed() (key string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.listed) - 1
	if last < 0 {
		return "", false
	}
	key, m.listed = m.listed[last], m.listed[:last]
	return key, true
}
