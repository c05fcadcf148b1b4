package load

import (
	"strings"
	"testing"
)

func testWire(p Protocol) *wire {
	o := Default("127.0.0.1:1")
	o.Protocol, o.KeySize, o.Prefix, o.Values = p, 10, "k-", Fixed(20)
	return newWire(o, newContents(o.Values, 1))
}

func TestKeys(t *testing.T) {
	w := testWire(Meta)
	for key, want := range map[uint64]string{0: "k-00000000", 255: "k-000000ff", 0xffffffff: "k-ffffffff"} {
		got := w.appendKey(nil, key)
		if string(got) != want {
			t.Errorf("key %d is %q, want %q", key, got, want)
		}
		if back, ok := w.parseKey(got); !ok || back != key {
			t.Errorf("%q is %d, %t", got, back, ok)
		}
	}
	for _, bad := range []string{"", "k-0000000", "x-00000000", "k-0000000G", "k-000000000"} {
		if n, ok := w.parseKey([]byte(bad)); ok {
			t.Errorf("%q is taken for key %d", bad, n)
		}
	}
}

func TestRequests(t *testing.T) {
	c := &conn{}
	c.reserve(3)
	for _, key := range []uint32{1, 2, 3} {
		c.push(slot{key: key})
	}
	text, meta := testWire(Text), testWire(Meta)
	expiring := testWire(Meta)
	expiring.expiry = "60"
	size := func(b []byte) string { return string(b[:strings.IndexByte(string(b), '\n')+1]) }
	for _, test := range []struct{ got, want string }{
		{string(text.appendGet(nil, c, 0, 2)), "get k-00000001 k-00000002\r\n"},
		{string(meta.appendGet(nil, c, 2, 1)), "mg k-00000003 v\r\n"},
		{string(meta.appendGet(nil, c, 0, 2)), "mg k-00000001 k q v\r\nmg k-00000002 k q v\r\nmn\r\n"},
		{size(text.appendSet(nil, 9, 1)), "set k-00000009 0 0 20\r\n"},
		{size(meta.appendSet(nil, 9, 1)), "ms k-00000009 20\r\n"},
		{size(expiring.appendSet(nil, 9, 1)), "ms k-00000009 20 T60\r\n"},
		{string(text.appendDelete(nil, 9)), "delete k-00000009\r\n"},
		{string(meta.appendDelete(nil, 9)), "md k-00000009\r\n"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestParse(t *testing.T) {
	w := testWire(Meta)
	for _, test := range []struct {
		in         string
		kind       answerKind
		key, value string
	}{
		{"VA 3\r\nabc\r\n", value, "", "abc"},
		{"VA 0 kk-1 f0\r\n\r\n", value, "k-1", ""},
		{"VALUE k-1 0 2\r\nhi\r\n", value, "k-1", "hi"},
		{"VALUE k-1 0 2 77\r\nhi\r\n", garbage, "", ""},
		{"VA 3\r\nabcd\r\n", garbage, "", ""},
		{"VA x\r\n", garbage, "", ""},
		{"VA 99999999999\r\n", garbage, "", ""},
		{"VALUE k-1\r\n", garbage, "", ""},
		{"EN\r\n", miss, "", ""}, {"END\r\n", end, "", ""}, {"MN\r\n", end, "", ""},
		{"STORED\r\n", stored, "", ""}, {"HD\r\n", stored, "", ""}, {"DELETED\r\n", deleted, "", ""}, {"NF\r\n", notFound, "", ""},
		{"SERVER_ERROR out of memory storing object\r\n", failure, "", ""}, {"NS \r\n", failure, "", ""},
		{"HELLO\r\n", garbage, "", ""}, {"END\n", garbage, "", ""}, {"\n", garbage, "", ""},
	} {
		a, n := w.parse([]byte(test.in + "rest"))
		if a.kind != test.kind || test.kind != garbage && n != len(test.in) {
			t.Errorf("%q: kind %d, %d bytes, want kind %d, %d bytes", test.in, a.kind, n, test.kind, len(test.in))
		}
		if test.kind == value && (string(a.value) != test.value || string(a.key) != test.key) {
			t.Errorf("%q: key %q value %q", test.in, a.key, a.value)
		}
		for cut := range len(test.in) - 1 {
			if a, _ := w.parse([]byte(test.in[:cut])); test.kind != garbage && a.kind != partial {
				t.Errorf("%q, cut to %d bytes: kind %d", test.in, cut, a.kind)
			}
		}
	}
	if a, _ := w.parse([]byte(strings.Repeat("x", longestLine))); a.kind != garbage {
		t.Errorf("a line without an end: kind %d", a.kind)
	}
}

// FuzzParse must neither panic nor take more than there is.
func FuzzParse(f *testing.F) {
	f.Add([]byte("VALUE k-1 0 2\r\nhi\r\nEND\r\n"))
	f.Add([]byte("VA 3 kk-1\r\nabc\r\nMN\r\n"))
	w := testWire(Meta)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, n := w.parse(b)
		if n < 0 || n > len(b) || (a.kind == partial || a.kind == garbage) && n != 0 || a.kind != partial && a.kind != garbage && n == 0 {
			t.Errorf("kind %d, %d of %d bytes", a.kind, n, len(b))
		}
	})
}
