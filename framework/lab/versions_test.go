package lab

import (
	"reflect"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/state"
)

func TestConfiguredVersions(t *testing.T) {
	opts, err := Configured(config.LabSettings{Memcached: "bookworm,trixie"})
	if want := (artifact.Versions{Memcached: []string{"1.6.18", "1.6.38"}}); err != nil || !reflect.DeepEqual(opts.Versions, want) {
		t.Errorf("versions = %v, %v; want %v", opts.Versions, err, want)
	}
	if _, err := Configured(config.LabSettings{Memcached: "newest"}); err == nil || !strings.Contains(err.Error(), `LAB_MEMCACHED="newest"`) {
		t.Errorf("err = %v, want one that names LAB_MEMCACHED", err)
	}
}

func TestMemcachedImages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		made   *artifact.Versions
		chosen artifact.Versions
		want   string // names with blanks between them
	}{
		{"by default", nil, artifact.Versions{}, "lab.invalid/memcached:1.6.38 lab.invalid/memcached:1.6.18"},
		{"chosen", nil, artifact.Versions{Memcached: []string{"1.6.18", "1.6.38"}}, "lab.invalid/memcached:1.6.18 lab.invalid/memcached:1.6.38"},
		{"as the lab was made", &artifact.Versions{Kubernetes: "v1", Memcached: []string{"1.6.45"}}, artifact.Versions{}, "lab.invalid/memcached:1.6.45"},
		{"the second of the lab", &artifact.Versions{Kubernetes: "v1", Memcached: []string{"1.6.45", "1.6.18"}}, artifact.Versions{Memcached: []string{"1.6.18"}}, "lab.invalid/memcached:1.6.18"},
	} {
		l := testLab(t)
		l.opts.Versions = tt.chosen
		if tt.made != nil {
			if err := l.state.Change(func(s *state.State) { s.Versions, s.Directories = *tt.made, []string{"/cache/disk-1"} }); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := l.MemcachedImages(); err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}
