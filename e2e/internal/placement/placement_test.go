package placement

import (
	"testing"

	"pmem-memcached-e2e/framework/probe"
)

func TestDAXOption(t *testing.T) {
	for _, tt := range []struct {
		options []string
		want    string
		dax     bool
	}{
		{[]string{"rw", "dax"}, "dax", true},
		{[]string{"rw", "dax=always"}, "dax=always", true},
		{[]string{"rw", "dax=never"}, "dax=never", false},
		{[]string{"rw", "relatime"}, "no dax option for ext4 /dev/pmem0 at /data with rw,relatime", false},
	} {
		got := DAXOption(probe.Mount{FSType: "ext4", Device: "/dev/pmem0", Path: "/data", Options: tt.options})
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.options, got, tt.want)
		}
		if dax, err := HaveDAX().Match(got); dax != tt.dax || err != nil {
			t.Errorf("%q: dax %t, %v, want %t", tt.options, dax, err, tt.dax)
		}
	}
}
