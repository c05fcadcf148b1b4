package probe

import "testing"

func TestParseSmaps(t *testing.T) {
	const text = `55d0c0a00000-55d0c0a26000 rw-p 00000000 00:00 0                          [heap]
Size:                152 kB
Rss:                 120 kB
Anonymous:           116 kB
VmFlags: rd wr mr mw me ac
7f0000000000-7f0013e00000 rw-s 00000000 fe:01 12                         /data/memcached-memory-file
Size:             325632 kB
Rss:                   0 kB
Anonymous:             0 kB
`
	got, err := parseSmaps(text)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[0].Path != "[heap]" || got[0].Anonymous != 116<<10 || got[1].Path != "/data/memcached-memory-file" || got[1].End-got[1].Start != 325632<<10 {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"Anonymous: 4 kB\n", text + "nonsense\n", text + "Anonymous: many\n"} {
		if _, err := parseSmaps(bad); err == nil {
			t.Errorf("%q: no error", bad[max(0, len(bad)-20):])
		}
	}
}
