package memcached

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestMany(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var items []Item
	var keys []string
	for n := range 3*batchKeys + 7 {
		item := Item{Key: fmt.Sprintf("key-%d/%%", n), Value: bytes.Repeat([]byte{'a' + byte(n%26)}, n), Flags: uint32(n)}
		if n%2 == 1 {
			item.Expiration = 1000
		}
		items, keys = append(items, item), append(keys, item.Key)
	}
	if err := s.StoreMany(ctx, items); err != nil {
		t.Fatal(err)
	}

	got := map[string]Item{}
	if err := s.FetchMany(ctx, append(keys, "none"), func(i Item) { got[i.Key] = i }); err != nil {
		t.Fatal(err)
	}
	listed, err := s.Metadump(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(items) || len(listed) != len(items) {
		t.Errorf("fetched %d, listed %d, want %d", len(got), len(listed), len(items))
	}
	for n, want := range items {
		i, m := got[want.Key], listed[want.Key]
		if !bytes.Equal(i.Value, want.Value) || i.Flags != want.Flags || i.CasID == 0 {
			t.Fatalf("%s came back as %.80v", want.Key, i)
		}
		if m.CAS != i.CasID || m.Size <= int64(n) || (m.Expires == -1) != (want.Expiration == 0) {
			t.Fatalf("%s is listed as %+v", want.Key, m)
		}
	}

	if err := s.DeleteMany(ctx, keys[7:]); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Metadump(ctx); err != nil || len(left) != 7 {
		t.Errorf("%d items are left, %v, want 7", len(left), err)
	}
	err = s.StoreMany(ctx, []Item{{Key: "large", Value: make([]byte, 2<<20)}})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a value beyond the limit: %v", err)
	}
}

func TestBulkAnswers(t *testing.T) {
	for _, lines := range [][]string{{}, {"EN"}, {"VA 3 kone"}, {"VA 3 kone f1 c1", "four", "MN"}, {"VA x kone", "one", "MN"}, {"VA 3 kone f-1", "one", "MN"}, {"SERVER_ERROR out of memory"}} {
		if err := parseValues(lines, func(Item) {}); err == nil {
			t.Errorf("%q: no error", lines)
		}
	}
	if _, _, err := parseMetadata("key=a exp=soon cas=1 size=2"); err == nil {
		t.Error("an expiry that is no number: no error")
	}
	key, m, err := parseMetadata("key=a%20b exp=-1 la=1 cas=2 fetch=no cls=1 size=63 flags=0")
	if key != "a b" || m != (Metadata{Expires: -1, CAS: 2, Size: 63}) || err != nil {
		t.Errorf("%q %+v %v", key, m, err)
	}
}

func TestDump(t *testing.T) {
	const a, b = "key=a exp=-1 la=1 cas=2 fetch=no cls=1 size=63", "key=b exp=-1 la=1 cas=3 fetch=no cls=1 size=63 flags=0"
	for _, test := range []struct {
		name    string
		lines   []string // the last of which ends the dump
		want    int
		failure string
	}{
		{"memcached 1.6.38", []string{a, "END"}, 1, ""},
		{"memcached 1.6.45", []string{"OK", a, b, "END"}, 2, ""},
		{"empty", []string{"OK", "END"}, 0, ""},
		{"busy", []string{"BUSY currently processing crawler request"}, 0, ErrBusy.Error()},
		{"unknown", []string{"ERROR"}, 0, `answered "ERROR"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, line := range test.lines {
				if got, want := endsDump(line), i == len(test.lines)-1; got != want {
					t.Errorf("endsDump(%q) = %t, want %t", line, got, want)
				}
			}
			items, err := parseDump(test.lines)
			if test.failure != "" {
				if err == nil || err.Error() != test.failure {
					t.Fatalf("error %v, want %s", err, test.failure)
				}
				return
			}
			if err != nil || len(items) != test.want {
				t.Errorf("%v, %v; want %d items", items, err, test.want)
			}
		})
	}
}
