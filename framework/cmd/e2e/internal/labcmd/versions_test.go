package labcmd

import (
	"errors"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/upstream"
)

func TestWriteReleases(t *testing.T) {
	asked := upstream.Release{Program: "thing", From: "module example.org/thing", Pinned: "v1.0.0", Patch: "v1.0.1", Newest: "v1.2.0"}
	for _, tt := range []struct {
		name     string
		releases []upstream.Release
		want     string
	}{
		{"all asked", []upstream.Release{asked}, "" +
			"PROGRAM  PINNED  NEWEST PATCH  NEWEST  FROM\n" +
			"thing    v1.0.0  v1.0.1        v1.2.0  module example.org/thing\n"},
		{"without the network", []upstream.Release{{Program: "other", From: "Debian's sid", Pinned: "1.6", Err: errors.New("no route to host")}}, "" +
			"PROGRAM  PINNED  NEWEST PATCH  NEWEST  FROM\n" +
			"other    1.6     -             -       Debian's sid\n" +
			"1 could not be asked:\n" +
			"  Debian's sid: no route to host\n"},
	} {
		var b strings.Builder
		writeReleases(&b, tt.releases)
		if b.String() != tt.want {
			t.Errorf("%s: the table is\n%s, want\n%s", tt.name, b.String(), tt.want)
		}
	}
}
