package artifact

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseVersions(t *testing.T) {
	std := DefaultVersions()
	for _, tt := range []struct {
		kubernetes, memcached string
		want                  Versions
	}{
		{"", "", Versions{}},
		{"v1.37.2", "1.6.38", Versions{Kubernetes: std.Kubernetes, Memcached: []string{"1.6.38"}}},
		{"1.37.2", "trixie", Versions{Kubernetes: std.Kubernetes, Memcached: []string{"1.6.38"}}},
		{"1.37", "", Versions{Kubernetes: std.Kubernetes}},
		{"v1.37", "", Versions{Kubernetes: std.Kubernetes}},
		{"1.36", "", Versions{Kubernetes: "v1.36.3"}},
		{"v1.36.3", "sid", Versions{Kubernetes: "v1.36.3", Memcached: []string{"1.6.45"}}},
		{"", "bookworm", Versions{Memcached: []string{"1.6.18"}}},
		{"", "1.6.18", Versions{Memcached: []string{"1.6.18"}}},
		{"", "sid", Versions{Memcached: []string{"1.6.45"}}},
		{"", "1.6.18, trixie", Versions{Memcached: []string{"1.6.18", "1.6.38"}}},
	} {
		got, err := ParseVersions(tt.kubernetes, tt.memcached, "")
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseVersions(%q, %q) = %v, %v; want %v", tt.kubernetes, tt.memcached, got, err, tt.want)
		}
	}
}

func TestParseVersionsRefuses(t *testing.T) {
	const suites = "1.6.38 (trixie), 1.6.18 (bookworm), 1.6.45 (sid), each from Debian's suite of that name"
	for _, tt := range []struct {
		kubernetes, memcached string
		want                  []string
	}{
		{"", "1.4.0", []string{`LAB_MEMCACHED="1.4.0"`, suites}},
		{"", "1.6", []string{`LAB_MEMCACHED="1.6"`, suites}},
		{"", "bookworm,", []string{`LAB_MEMCACHED="bookworm,"`, `memcached ""`, suites}},
		{"", "bookworm sid", []string{`"bookworm sid"`, suites}},
		{"", "sid,bookworm,1.6.45", []string{"1.6.45 is there twice", "once"}},
		{"1.12", "", []string{`LAB_KUBERNETES="1.12"`, "v1.37.2 (hack/kubernetes), v1.36.3 (hack/kubernetes-1.36), v1.35.4 (hack/kubernetes-1.35), each pinned by the module in that directory"}},
		{"v1.37.99", "", []string{`LAB_KUBERNETES="v1.37.99"`, "v1.37.2 (hack/kubernetes)"}},
		{"latest", "oldest", []string{`LAB_KUBERNETES="latest"`, `LAB_MEMCACHED="oldest"`}},
	} {
		_, err := ParseVersions(tt.kubernetes, tt.memcached, "")
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("ParseVersions(%q, %q): %v, want an error with %q", tt.kubernetes, tt.memcached, err, want)
			}
		}
	}
}

func TestVersionsHas(t *testing.T) {
	both := Versions{Kubernetes: "v1.37.2", Memcached: []string{"1.6.38", "1.6.18"}}
	for _, tt := range []struct {
		wanted Versions
		want   bool
	}{
		{both, true},
		{Versions{Kubernetes: "v1.37.2", Memcached: []string{"1.6.18"}}, true},
		{Versions{Kubernetes: "v1.37.2", Memcached: []string{"1.6.18", "1.6.45"}}, false},
		{Versions{Kubernetes: "v1.36.3", Memcached: []string{"1.6.38"}}, false},
		{Versions{Kubernetes: "v1.36.3"}, false},
		{Versions{Kubernetes: "v1.37.2"}, true},
		{Versions{}, true},
	} {
		if got := both.Has(tt.wanted); got != tt.want {
			t.Errorf("%v has %v: %v, want %v", both, tt.wanted, got, tt.want)
		}
	}
}

// Each choice of versions has a disk of its own, and what is not chosen is no
// part of it.
func TestDisksOfVersionsLieSideBySide(t *testing.T) {
	store := openStore(t)
	seen := map[string][2]string{}
	for _, names := range [][2]string{{"", ""}, {"1.36", ""}, {"1.35", ""}, {"", "bookworm"}, {"1.36", "bookworm"}, {"", "sid"}, {"", "trixie,sid"}} {
		kubernetes, memcached := names[0], names[1]
		v, err := ParseVersions(kubernetes, memcached, "")
		if err != nil {
			t.Fatal(err)
		}
		v = v.Or(DefaultVersions())
		b, err := NewBuilder(store, checkout, v)
		if err != nil {
			t.Fatal(err)
		}
		disk, err := b.diskPart()
		if err != nil {
			t.Fatal(err)
		}
		path := store.Path(disk.Artifact)
		if other, ok := seen[path]; ok {
			t.Errorf("%q and %q have the same disk", names, other)
		}
		seen[path] = names
		if got, want := len(b.images()), len(Images)+len(v.Memcached); got != want {
			t.Errorf("%q: %d images, want %d", names, got, want)
		}
	}
}
