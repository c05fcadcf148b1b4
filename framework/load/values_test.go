package load

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestMismatch(t *testing.T) {
	c := newContents(Fixed(40), 1)
	good := c.append(nil, 7, 0x0102030405060708, 40)
	changed := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 0xff
		return b
	}
	for name, test := range map[string]struct {
		got  []byte
		want string
	}{
		"first byte":  {changed(0), "40 bytes, want 40, and byte 0 differs; from byte 0 on got f8 00 00 00 00 00 00 00 08 07 06 05, want 07 00 00 00 00 00 00 00 08 07 06 05"},
		"in the body": {changed(20), fmt.Sprintf("byte 20 differs; from byte 16 on got % x, want % x", changed(20)[16:32], good[16:32])},
		"last byte":   {changed(39), fmt.Sprintf("byte 39 differs; from byte 35 on got % x, want % x", changed(39)[35:], good[35:])},
		"short":       {good[:30], fmt.Sprintf("30 bytes, want 40, and byte 30 differs; from byte 26 on got % x, want % x", good[26:30], good[26:])},
		"long":        {append(bytes.Clone(good), 'x'), fmt.Sprintf("41 bytes, want 40, and byte 40 differs; from byte 36 on got % x 78, want % x", good[36:], good[36:])},
		"empty":       {nil, "0 bytes, want 40, and byte 0 differs; from byte 0 on got nothing, want 07 00"},
		"other key":   {c.append(nil, 8, 1, 40), "byte 0 differs; from byte 0 on got 08 00"},
	} {
		if got := c.mismatch(7, test.got); !strings.Contains(got, test.want) || len(got) > 200 {
			t.Errorf("%s: %s\nwant %s", name, got, test.want)
		}
	}
}

// TestMismatchIsTold has a server whose values are those of another seed.
func TestMismatchIsTold(t *testing.T) {
	o := short("")
	o.Gets, o.Sets, o.Seed = 1, 0, 2
	o.Addr = newStandIn(t, o).addr()
	o.Seed = 1
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := "100 bytes, want 100, and byte 16 differs; from byte 12 on got "; r.Wrong == 0 || len(r.Complaints) == 0 || !strings.Contains(r.Complaints[0], want) {
		t.Errorf("%q, want %q: %s", r.Complaints, want, r)
	}
}
