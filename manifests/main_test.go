package manifests_test

import (
	"flag"
	"os"
	"testing"
)

// parallel is how many tests run at the same time, unless -parallel is given.
// They wait for memcached and for filesystems most of the time.
const parallel = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", parallel); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// notShort is for tests that wait for memcached or a filesystem many times.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
}
