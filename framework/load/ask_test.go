package load

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAsk(t *testing.T) {
	s, err := Ask(t.Context(), realServer(t, "-m", "80", "-I", "2m", "-c", "300"))
	if err != nil {
		t.Fatal(err)
	}
	version := s.Version
	s.Version = ""
	want := Server{
		Limit: 80 << 20, ItemMax: 2 << 20, MaxConnections: 300, Threads: 1,
		GrowthFactor: 1.25, ChunkSize: 48, ChunkMax: 512 << 10, CAS: true,
	}
	if s != want || !strings.HasPrefix(version, "1.") {
		t.Errorf("version %q, %+v, want %+v", version, s, want)
	}
	if _, err := Ask(t.Context(), newStandIn(t, Default("")).addr()); err == nil || !strings.Contains(err.Error(), "want lines of STAT") {
		t.Errorf("a server without statistics: %v", err)
	}
}

func TestTold(t *testing.T) {
	general := map[string]string{"version": "1.6.18", "curr_connections": "3", "curr_items": "7", "evictions": "2"}
	settings := map[string]string{
		"maxbytes": "67108864", "item_size_max": "1048576", "maxconns": "1024", "num_threads": "4", "memory_file": "/pmem/file",
		"chunk_size": "48", "slab_chunk_max": "524288", "growth_factor": "1.25", "cas_enabled": "no",
	}
	s, err := parseServer(general, settings)
	if err != nil || s.MemoryFile != "/pmem/file" || s.Connections != 2 || s.Items != 7 || s.Evictions != 2 || s.CAS || s.Threads != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	for name, value := range map[string]string{"maxbytes": "", "maxconns": "many", "growth_factor": "x", "slab_chunk_max": "40"} {
		bad := maps.Clone(settings)
		bad[name] = value
		if _, err := parseServer(general, bad); err == nil || value != "40" && !strings.Contains(err.Error(), name) {
			t.Errorf("%s is %q: %v", name, value, err)
		}
	}
}

func TestAgainst(t *testing.T) {
	s := Server{
		Limit: 64 << 20, ItemMax: 1 << 20, MaxConnections: 100, Connections: 10,
		GrowthFactor: 1.25, ChunkSize: 48, ChunkMax: 512 << 10, CAS: true,
	}
	// An item has 48 bytes of header, 8 of CAS, 24 of key and its end, 2 of line end.
	const most = 1<<20 - 48 - 8 - 25 - 2
	for name, test := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"fits":            {func(*Options) {}, nil},
		"longest value":   {func(o *Options) { o.Values, o.Keys = Fixed(most), 10 }, nil},
		"too long":        {func(o *Options) { o.Values, o.Keys = Fixed(most+1), 10 }, []string{`Values="1048494": give up to 1048493 bytes`}},
		"sizes too long":  {func(o *Options) { o.Values, o.Keys = Between(16, 1<<20), 10 }, []string{`Values="16-1048576"`}},
		"all connections": {func(o *Options) { o.Connections = 89 }, nil},
		"one too many":    {func(o *Options) { o.Connections = 90 }, []string{`Connections="90": give up to 89`}},
		"full":            {func(o *Options) { o.Keys = 64 * 5461 }, nil},
		"more than full":  {func(o *Options) { o.Keys = 67 * 5461 }, []string{`Keys="365887": give about 349440`}},
		"may miss":        {func(o *Options) { o.Keys, o.MayMiss = 1e9, true }, nil},
		"all at once": {func(o *Options) { o.Values, o.Connections, o.Keys = Fixed(2<<20), 200, 1e6 },
			[]string{"Values", "Connections", "Keys"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Default("x:1")
			test.change(&o)
			err := o.Against(s)
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q in it", err, want)
				}
			}
			if err := o.Against(Server{}); err != nil {
				t.Errorf("a server that reported nothing: %v", err)
			}
		})
	}
}

// prompt has memcached free an item at once when another value takes its place. By default it keeps items
// that were read until a thread of its own has looked at them: on a busy machine a full cache then evicts.
const prompt = "no_lru_maintainer"

// TestFillMemoryFile fills a server whose first pages belong to every size of
// chunk.
func TestFillMemoryFile(t *testing.T) {
	dir := t.TempDir()
	for _, open := range []string{dir, filepath.Dir(dir)} { // the server runs as nobody
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	o := short(realServer(t, "-m", "80", "-e", filepath.Join(dir, "memory"), "-o", prompt))
	o.Values, o.Keys, o.Fill = Fixed(10000), 0, 1
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// 38 of 80 pages belong to other sizes, and no more than 103 items fit into a page.
	if keys := r.Options.Keys; keys < 3500 || keys > 42*103 || r.Misses > 0 {
		t.Errorf("%d keys: %s", keys, r)
	}
}

// TestFill fills a server to its limit, which evicts nothing, and beyond.
func TestFill(t *testing.T) {
	notShort(t)
	t.Parallel()
	for name, values := range map[string]Sizes{
		"fixed": Fixed(1000), "spread": Between(16, 8000), "published": Etc(4000), "chunked": Between(1<<10, 700<<10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := short(realServer(t, "-m", "64", "-o", prompt))
			o.Values, o.Keys, o.Fill = values, 0, 1
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Ask(t.Context(), o.Addr)
			if err != nil {
				t.Fatal(err)
			}
			if s.Items != r.Options.Keys || s.Evictions != 0 || r.Wrong != 0 || r.Server.Limit != 64<<20 {
				t.Errorf("%d keys, %d items, %d evicted: %s", r.Options.Keys, s.Items, s.Evictions, r)
			}
		})
	}
}

// TestBeyondTheCache asks for more than there is room for: so many keys that
// nobody can tell before, and so many that are refused.
func TestBeyondTheCache(t *testing.T) {
	notShort(t)
	o := short(realServer(t, "-m", "64"))
	o.Values, o.Keys = Fixed(1000), 64*885+100 // of these chunks a page has 885
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "items were evicted while 56740 keys were stored, and the cache seems to hold about 566") {
		t.Errorf("a little too much: %v", err)
	}
	o.Keys = 70000
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `Keys="70000": give about 566`) {
		t.Errorf("too much: %v", err)
	}
	o.MayMiss = true
	switch r, err := Run(t.Context(), o); {
	case err != nil:
		t.Errorf("too much, and keys may be missed: %v", err)
	case r.Misses == 0:
		t.Errorf("too much, and keys may be missed: %s", r)
	}
}

func TestFilled(t *testing.T) {
	s := Server{Limit: 64 << 20, ItemMax: 1 << 20, MaxConnections: 100, GrowthFactor: 1.25, ChunkSize: 48, ChunkMax: 512 << 10, CAS: true}
	o := Default("x:1")
	if same, err := o.Filled(s); err != nil || same != o {
		t.Errorf("without Fill: %+v, %v", same, err)
	}
	o.Keys, o.Fill = 0, 0.5
	if half, err := o.Filled(s); err != nil || half.Keys != 32*5461-64 || half.Fill != 0 {
		t.Errorf("half of the cache: %d keys, fill %g, %v", half.Keys, half.Fill, err)
	}
	for name, test := range map[string]struct {
		change func(*Options)
		server Server
		want   string
	}{
		"limit not reported": {func(*Options) {}, Server{}, "give Keys instead"},
		"no item":            {func(o *Options) { o.Fill = 0.001 }, s, "this share of 64 pages holds no item"},
		"too many keys":      {func(*Options) {}, func() Server { big := s; big.Limit = 4 << 40; return big }(), "give less, or longer values"},
		"keys too short":     {func(o *Options) { o.KeySize = 7 }, s, "it makes 174688 keys: KeySize"},
	} {
		o := o
		test.change(&o)
		if _, err := o.Filled(test.server); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for _, bad := range []func(*Options){
		func(o *Options) { o.Keys = 1 }, func(o *Options) { o.Fill = 1.01 }, func(o *Options) { o.Fill = -0.1 }, func(o *Options) { o.Fill = 0 },
	} {
		o := o
		bad(&o)
		if o.Validate() == nil {
			t.Errorf("fill %g and %d keys are taken", o.Fill, o.Keys)
		}
	}
}

func TestNotes(t *testing.T) {
	o := short("")
	o.Duration = 100 * time.Millisecond
	o.Addr = newStandIn(t, o).addr()
	r, err := Run(t.Context(), o)
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.String(), "not checked against the server") {
		t.Errorf("a server without statistics: %v %s", err, r)
	}
}
