package protocol

import (
	"fmt"
	"slices"
	"strings"
)

// malformed matches the answers to a request that is no command or has wrong
// arguments. The words differ between releases, and so does whether memcached
// takes data that came with the request as a command.
const malformed = `~(ERROR|CLIENT_ERROR [^\n]+)(\n(ERROR|CLIENT_ERROR [^\n]+)?)*`

var (
	longestKey = strings.Repeat("k", 250)
	tooLongKey = longestKey + "k"
)

// overhead is more than what an item takes in addition to its value, in bytes.
const overhead = 576

const flush = "flush_all"

// OfOlder reports whether x is about items that have to be older than the present second
// of memcached's clock. A flush distinguishes older items from newer ones by that clock and looks for
// those of the present second one by one, of which memcached 1.6.38 misses one in 66,000 on an
// idle machine.
func (x Exchange) OfOlder() bool { return x.Send == flush }

// Exchanges are from memcached's doc/protocol.txt, for a memcached with a limit for
// an item in bytes. Each relies on the items that those before it have left.
func Exchanges(limit int) []Exchange {
	return slices.Concat(stores, values(limit-overhead, limit+1), meta)
}

// values are exchanges about values just below the limit and above it.
func values(large, larger int) []Exchange {
	set := func(key string, size int) string {
		return fmt.Sprintf("set %s 0 0 %d\r\n%s", key, size, strings.Repeat("v", size))
	}
	return []Exchange{
		{"MC-04", "a value just below the limit", set("large", large), []string{"STORED"}},
		{"MC-04", "a value above the limit", set("larger", larger), []string{"SERVER_ERROR object too large for cache"}},
		{"MC-04", "a value above the limit is not stored", "get larger", []string{"END"}},
		{"MC-04", "a value just below the limit is there", "mg large s", []string{fmt.Sprintf("HD s%d", large)}},
	}
}

var stores = []Exchange{
	{"PRO-01", "set stores", "set s 5 0 3\r\nabc", []string{"STORED"}},
	{"PRO-01", "set stores an empty value", "set s0 0 0 0\r\n", []string{"STORED"}},
	{"PRO-01", "add does not overwrite", "add s 0 0 1\r\nx", []string{"NOT_STORED"}},
	{"PRO-01", "add stores a new key", "add s1 0 0 1\r\nx", []string{"STORED"}},
	{"PRO-01", "replace does not create", "replace none 0 0 1\r\nx", []string{"NOT_STORED"}},
	{"PRO-01", "replace overwrites", "replace s1 2 0 1\r\ny", []string{"STORED"}},
	{"PRO-01", "append does not create", "append none 0 0 1\r\nx", []string{"NOT_STORED"}},
	{"PRO-01", "append adds at the end", "append s 9 0 1\r\n>", []string{"STORED"}},
	{"PRO-01", "prepend adds at the beginning", "prepend s 9 0 1\r\n<", []string{"STORED"}},
	{"PRO-01", "append and prepend keep the flags", "get s", []string{"VALUE s 5 5", "<abc>", "END"}},
	{"PRO-01", "noreply leaves out the answer", "set quiet 1 0 1 noreply\r\nq", nil},
	{"PRO-01", "noreply stores", "get quiet", []string{"VALUE quiet 1 1", "q", "END"}},
	{"PRO-01", "gets returns the CAS value", "gets s1", []string{`~VALUE s1 2 1 (?P<cas>[0-9]+)`, "y", "END"}},
	{"PRO-01", "cas stores what nobody has changed", "cas s1 0 0 1 {cas}\r\nz", []string{"STORED"}},
	{"PRO-01", "cas refuses an item that was changed", "cas s1 0 0 1 {cas}\r\nw", []string{"EXISTS"}},
	{"PRO-01", "cas does not create", "cas none 0 0 1 {cas}\r\nw", []string{"NOT_FOUND"}},
	{"PRO-01", "a refused cas changes nothing", "get s1", []string{"VALUE s1 0 1", "z", "END"}},

	{"PRO-02", "a miss is no error", "get none", []string{"END"}},
	{"PRO-02", "get returns hits only", "get s none s1", []string{"VALUE s 5 5", "<abc>", "VALUE s1 0 1", "z", "END"}},
	{"PRO-02", "an empty value is a hit", "get s0", []string{"VALUE s0 0 0", "", "END"}},
	{"PRO-02", "a value may have any bytes", "set bytes 4294967295 0 7\r\na\r\n\x00é\x7f", []string{"STORED"}},
	{"PRO-02", "any bytes come back", "get bytes", []string{"VALUE bytes 4294967295 7", "a", "\x00é\x7f", "END"}},
	{"PRO-02", "delete removes", "delete bytes", []string{"DELETED"}},
	{"PRO-02", "what was deleted is a miss", "get bytes", []string{"END"}},
	{"PRO-02", "delete reports a key that does not exist", "delete bytes", []string{"NOT_FOUND"}},
	{"PRO-02", "touch finds", "touch s 600", []string{"TOUCHED"}},
	{"PRO-02", "touch reports a key that does not exist", "touch none 600", []string{"NOT_FOUND"}},
	{"PRO-02", "gat reads", "gat 700 s", []string{"VALUE s 5 5", "<abc>", "END"}},
	{"PRO-02", "gats returns the CAS value", "gats 700 s", []string{"~VALUE s 5 5 [0-9]+", "<abc>", "END"}},
	{"PRO-02", "gat reports a miss", "gat 700 none", []string{"END"}},

	{"PRO-03", "incr does not create", "incr none 1", []string{"NOT_FOUND"}},
	{"PRO-03", "a number is stored as text", "set n 0 0 20\r\n18446744073709551614", []string{"STORED"}},
	{"PRO-03", "incr adds", "incr n 1", []string{"18446744073709551615"}},
	{"PRO-03", "incr wraps around after 64 bits", "incr n 1", []string{"0"}},
	{"PRO-03", "a number is stored as text", "set n 0 0 2\r\n10", []string{"STORED"}},
	{"PRO-03", "decr subtracts", "decr n 1", []string{"9"}},
	{"PRO-03", "decr keeps the length", "get n", []string{"VALUE n 0 2", "9 ", "END"}},
	{"PRO-03", "decr ends at 0", "decr n 100", []string{"0"}},
	{"PRO-03", "incr refuses to add what is not a number", "incr n x", []string{"CLIENT_ERROR invalid numeric delta argument"}},
	{"PRO-03", "incr refuses to add to what is not a number", "incr s 1", []string{"CLIENT_ERROR cannot increment or decrement non-numeric value"}},

	{"PRO-04", "an expiry below 0 is accepted", "set gone 0 -1 1\r\nx", []string{"STORED"}},
	{"PRO-04", "an item with an expiry below 0 expires at once", "get gone", []string{"END"}},
	{"PRO-04", "an expiry above 30 days is an absolute time", "set past 0 2592001 1\r\nx", []string{"STORED"}},
	{"PRO-04", "an item with an absolute time in the past has expired", "get past", []string{"END"}},
	{"PRO-04", "an item with an expiry", "set soon 3 100 1\r\nx", []string{"STORED"}},
	{"PRO-04", "gat sets the expiry", "gat 500 soon", []string{"VALUE soon 3 1", "x", "END"}},
	{"PRO-04", "the expiry of gat takes effect", "mg soon t f s v", []string{`~VA 1 t(500|49[0-9]) f3 s1`, "x"}},
	{"PRO-04", "touch sets the expiry", "touch soon -1", []string{"TOUCHED"}},
	{"PRO-04", "the expiry of touch takes effect", "get soon", []string{"END"}},
	{"MC-06", "the walk-through's item", "set demo_key 0 500000 10\r\nI am PMEM.", []string{"STORED"}},
	{"MC-06", "the walk-through's item lives for 500000 s", "mg demo_key t", []string{`~HD t(500000|4999[0-9]{2})`}},

	{"PRO-05", "an unknown command", "nonsense", []string{malformed}},
	{"PRO-05", "a command in capitals", "GET s", []string{malformed}},
	{"PRO-05", "get without a key", "get", []string{malformed}},
	{"PRO-05", "set without a length", "set s 0 0", []string{malformed}},
	{"PRO-05", "a length below 0", "set s 0 0 -1", []string{malformed}},
	{"PRO-05", "flags that are not a number", "set s x 0 1\r\nz", []string{malformed}},
	{"PRO-05", "an expiry that is not a number", "set s 0 x 1\r\nz", []string{malformed}},
	{"PRO-05", "more data than announced", "set longer 0 0 3\r\nabcdef", []string{`~CLIENT_ERROR bad data chunk(\n(ERROR|CLIENT_ERROR [^\n]+))*`}},
	{"PRO-05", "more data than announced is not stored", "get longer", []string{"END"}},
	{"PRO-05", "the longest key", "set " + longestKey + " 0 0 1\r\nx", []string{"STORED"}},
	{"PRO-05", "the longest key is found", "get " + longestKey, []string{"VALUE " + longestKey + " 0 1", "x", "END"}},
	{"PRO-05", "a key of 251 bytes is not stored", "set " + tooLongKey + " 0 0 1\r\nx", []string{malformed}},
	{"PRO-05", "a key of 251 bytes cannot be read", "get " + tooLongKey, []string{malformed}},
	{"PRO-05", "malformed requests have changed nothing", "get s", []string{"VALUE s 5 5", "<abc>", "END"}},
}

var meta = []Exchange{
	{"PRO-07", "no operation", "mn", []string{"MN"}},
	{"PRO-07", "ms stores", "ms m 3 F7 T0\r\nabc", []string{"HD"}},
	{"PRO-07", "mg returns the flags that were requested", "mg m k f s t v", []string{"VA 3 km f7 s3 t-1", "abc"}},
	{"PRO-07", "mg returns the opaque token", "mg m k O42", []string{"HD km O42"}},
	{"PRO-07", "a miss of mg", "mg none v", []string{"EN"}},
	{"PRO-07", "a quiet miss of mg", "mg none v q", nil},
	{"PRO-07", "ms in mode add", "ms m 1 ME\r\nx", []string{"NS"}},
	{"PRO-07", "ms in mode append", "ms m 1 MA\r\n>", []string{"HD"}},
	{"PRO-07", "ms in mode prepend", "ms m 1 MP\r\n<", []string{"HD"}},
	{"PRO-07", "ms in mode replace", "ms none 1 MR\r\nx", []string{"NS"}},
	{"PRO-07", "the value after all modes", "mg m v c", []string{`~VA 5 c(?P<meta>[0-9]+)`, "<abc>"}},
	{"PRO-07", "ms with another CAS value", "ms m 1 C1\r\nx", []string{"EX"}},
	{"PRO-07", "ms with the CAS value", "ms m 1 C{meta}\r\nx", []string{"HD"}},
	{"PRO-07", "ms with a CAS value of a key that does not exist", "ms none 1 C1\r\nx", []string{"NF"}},
	{"PRO-07", "ms with a length that is not a number", "ms m xx\r\nab", []string{malformed}},
	{"PRO-07", "mg of a key of 251 bytes", "mg " + tooLongKey + " v", []string{malformed}},
	{"PRO-07", "ma does not create", "ma count v", []string{"NF"}},
	{"PRO-07", "ma creates on request", "ma count N0 J10 v", []string{"VA 2", "10"}},
	{"PRO-07", "ma adds", "ma count D5 v", []string{"VA 2", "15"}},
	{"PRO-07", "ma subtracts down to 0", "ma count MD D100 v", []string{"VA 1", "0"}},
	{"PRO-07", "ma refuses to add to what is not a number", "ma s", []string{"CLIENT_ERROR cannot increment or decrement non-numeric value"}},
	{"PRO-07", "md marks as stale", "md m I T30", []string{"HD"}},
	{"PRO-07", "the first to read a stale item wins", "mg m v", []string{"~VA 1 (W X|X W)", "x"}},
	{"PRO-07", "the next one does not", "mg m v", []string{"~VA 1 (X Z|Z X)", "x"}},
	{"PRO-07", "md removes", "md m", []string{"HD"}},
	{"PRO-07", "md reports a key that does not exist", "md m", []string{"NF"}},
	{"PRO-07", "me describes an item", "me s", []string{`~ME s exp=-?[0-9]+ la=[0-9]+ .*size=[0-9]+`}},
	{"PRO-07", "me reports a key that does not exist", "me none", []string{"EN"}},

	{"PRO-06", "verbosity", "verbosity 0", []string{"OK"}},
	{"PRO-06", "stats reset", "stats reset", []string{"RESET"}},
	{"PRO-06", "a flush that is due later", "flush_all 1000", []string{"OK"}},
	{"PRO-06", "a flush that is due later flushes nothing before", "get quiet", []string{"VALUE quiet 1 1", "q", "END"}},
	{"PRO-06", "a flush", flush, []string{"OK"}},
	{"PRO-06", "a flush empties the cache", "get s quiet n", []string{"END"}},
	{"PRO-06", "a flush with a delay that is not a number", "flush_all soon", []string{malformed}},
}
