package load

import (
	"bytes"
	"strconv"
)

// operation is a kind of request.
type operation uint8

const (
	opGet operation = iota
	opSet
	opDelete
	operations
)

var operationNames = [operations]string{"get", "set", "delete"}

// slot is a key of a request that is in flight. The slots of a get of several
// keys follow each other.
type slot struct {
	intended int64 // nanoseconds of the loop's clock
	sent     int64
	stamp    uint32 // end of the one that the value must have; 0: any
	key      uint32
	op       operation
	last     bool // of its request
	hit      bool
	measured bool
}

// wire writes requests and reads answers of one protocol.
type wire struct {
	protocol Protocol
	prefix   string
	keySize  int
	zero     []byte // key 0
	expiry   string // in seconds; empty: none
	contents *contents
}

func newWire(o Options, c *contents) *wire {
	w := &wire{protocol: o.Protocol, prefix: o.Prefix, keySize: o.KeySize, contents: c}
	w.zero = append([]byte(o.Prefix), bytes.Repeat([]byte{'0'}, o.KeySize-len(o.Prefix))...)
	if o.Expiry > 0 {
		w.expiry = strconv.Itoa(int(o.Expiry.Seconds()))
	}
	return w
}

const hexDigits = "0123456789abcdef"

// appendKey writes the prefix and the number of the key in hexadecimal, filled
// up with zeros.
func (w *wire) appendKey(b []byte, key uint64) []byte {
	b = append(b, w.zero...)
	for i := len(b) - 1; key > 0; i-- {
		b[i] = hexDigits[key&15]
		key >>= 4
	}
	return b
}

// keyDigits hold every number of a key.
const keyDigits = 8

// parseKey is the number in a key that appendKey has written.
func (w *wire) parseKey(b []byte) (uint64, bool) {
	first := max(len(w.prefix), w.keySize-keyDigits)
	if len(b) != w.keySize || !bytes.Equal(b[:first], w.zero[:first]) {
		return 0, false
	}
	var n uint64
	for _, c := range b[first:] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// single reports whether a get of n keys is answered by one answer: the value
// or that there is none.
func (w *wire) single(n int) bool { return w.protocol == Meta && n == 1 }

// appendGet writes a get of the keys of n slots of c from start on.
func (w *wire) appendGet(b []byte, c *conn, start uint32, n int) []byte {
	switch {
	case w.protocol == Text:
		b = append(b, "get"...)
		for i := range n {
			b = w.appendKey(append(b, ' '), uint64(c.at(start+uint32(i)).key))
		}
		return append(b, "\r\n"...)
	case n == 1:
		b = w.appendKey(append(b, "mg "...), uint64(c.at(start).key))
		return append(b, " v\r\n"...)
	}
	for i := range n {
		b = w.appendKey(append(b, "mg "...), uint64(c.at(start+uint32(i)).key))
		b = append(b, " k q v\r\n"...)
	}
	return append(b, "mn\r\n"...)
}

func (w *wire) appendSet(b []byte, key, stamp uint64) []byte {
	size := w.contents.sizes.of(key)
	if w.protocol == Text {
		b = append(w.appendKey(append(b, "set "...), key), " 0 "...)
		if w.expiry == "" {
			b = append(b, '0')
		}
		b = append(append(b, w.expiry...), ' ')
		b = strconv.AppendInt(b, int64(size), 10)
	} else {
		b = append(w.appendKey(append(b, "ms "...), key), ' ')
		b = strconv.AppendInt(b, int64(size), 10)
		if w.expiry != "" {
			b = append(append(b, " T"...), w.expiry...)
		}
	}
	b = append(b, "\r\n"...)
	return append(w.contents.append(b, key, stamp, size), "\r\n"...)
}

func (w *wire) appendDelete(b []byte, key uint64) []byte {
	if w.protocol == Text {
		b = append(b, "delete "...)
	} else {
		b = append(b, "md "...)
	}
	return append(w.appendKey(b, key), "\r\n"...)
}

// answer is what a line from the server, with the value that follows it, says.
type answer struct {
	kind  answerKind
	key   []byte // of a value, when the protocol has it
	value []byte
	line  []byte // without its end
}

type answerKind uint8

const (
	partial  answerKind = iota // more bytes are needed
	value                      // of a get
	miss                       // of a meta get of one key
	end                        // of a get of several keys or of a text get
	stored                     // of a set
	deleted                    // of a delete
	notFound                   // of a delete
	failure                    // the server refuses; the line says why
	garbage                    // this is not the protocol
)

// longestLine is more than any that memcached sends here.
const longestLine = 2048

// parse reads one answer from b and returns how many bytes it took.
func (w *wire) parse(b []byte) (answer, int) {
	eol := bytes.IndexByte(b[:min(len(b), longestLine)], '\n')
	if eol < 0 {
		if len(b) >= longestLine {
			return answer{kind: garbage, line: b[:80]}, 0
		}
		return answer{}, 0
	}
	if eol == 0 || b[eol-1] != '\r' {
		return answer{kind: garbage, line: b[:eol]}, 0
	}
	line := b[:eol-1]
	a := answer{line: line}
	size := -1
	switch {
	case len(line) >= 4 && string(line[:3]) == "VA ":
		digits := line[3:]
		if i := bytes.IndexByte(digits, ' '); i >= 0 {
			for flag := range bytes.FieldsSeq(digits[i:]) {
				if flag[0] == 'k' {
					a.key = flag[1:]
				}
			}
			digits = digits[:i]
		}
		size = number(digits)
	case len(line) > 6 && string(line[:6]) == "VALUE ":
		rest := line[6:]
		i := bytes.IndexByte(rest, ' ')
		if i < 0 {
			break
		}
		a.key = rest[:i]
		rest = rest[i+1:]
		if i = bytes.IndexByte(rest, ' '); i < 0 {
			break
		}
		size = number(rest[i+1:])
	default:
		a.kind = kindOf(line)
		return a, eol + 1
	}
	total := eol + 1 + size + 2
	switch {
	case size < 0 || size > maxValueSize:
		a.kind = garbage
		return a, 0
	case len(b) < total:
		return answer{}, 0
	case b[total-2] != '\r' || b[total-1] != '\n':
		a.kind = garbage
		return a, 0
	}
	a.kind, a.value = value, b[eol+1:eol+1+size]
	return a, total
}

func kindOf(line []byte) answerKind {
	switch string(line) {
	case "EN":
		return miss
	case "END", "MN":
		return end
	case "STORED", "HD":
		return stored // of a meta delete too
	case "DELETED":
		return deleted
	case "NOT_FOUND", "NF":
		return notFound
	}
	for _, prefix := range []string{"ERROR", "CLIENT_ERROR", "SERVER_ERROR", "NOT_STORED", "NS", "EX"} {
		if len(line) >= len(prefix) && string(line[:len(prefix)]) == prefix {
			return failure
		}
	}
	return garbage
}

// number is that of decimal digits; -1 for anything else.
func number(b []byte) int {
	if len(b) == 0 || len(b) > 10 {
		return -1
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
