package manifests_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
)

var allBounds = flag.Bool("bounds.all", false, "run TestBounds with all sizes, and fill the caches on both filesystems")

// TestBounds runs both scripts and memcached on volumes from the smallest to
// larger ones, through a graceful stop and a warm start.
func TestBounds(t *testing.T) {
	notShort(t)
	needRoot(t)
	t.Parallel()
	for _, test := range []struct {
		fsType string
		size   int64 // MiB
		always bool
	}{
		{"ext4", 52, true}, {"ext4", 55, false}, {"ext4", 56, true}, {"ext4", 64, false}, {"ext4", 96, false},
		{"ext4", 100, true}, {"ext4", 200, true}, {"ext4", 500, false}, {"ext4", 720, true},
		{"ext4", 1024, true}, {"ext4", 2048, false}, {"ext4", 4096, true},
		{"xfs", 600, false}, {"xfs", 720, true}, {"xfs", 1024, false}, {"xfs", 2048, true}, {"xfs", 4096, false},
	} {
		if !test.always && !*allBounds {
			continue
		}
		t.Run(fmt.Sprintf("%s/%dMi", test.fsType, test.size), func(t *testing.T) {
			t.Parallel()
			v := mountVolume(t, test.fsType, test.size*mib)
			usable := v.available(t)
			size, _ := v.prepare(t)
			spare := v.available(t)
			share := 100 * float64(size) / float64(usable)

			s := v.start(t, "persistent", "")
			s.ready(t)
			equal(t, "limit_maxbytes", s.stat(t, "", "limit_maxbytes"), strconv.FormatInt(size, 10))
			for i := range 20 {
				s.set(t, fmt.Sprint("key", i), strings.Repeat("x", 500_000))
			}
			s.set(t, "demo_key", "I am PMEM.")
			items := s.stat(t, "", "curr_items") // small caches have evicted some
			s.stop(t)
			if info, err := os.Stat(v.stateFile()); err != nil || info.Size() == 0 {
				t.Fatalf("state file: %v, %v; want one that is not empty", info, err)
			}
			left := v.available(t)
			kept, stderr := v.prepare(t)
			if kept != size || !strings.Contains(stderr, "keeping") {
				t.Fatalf("the second run of the init container changed the memory file from %d to %d bytes:\n%s", size, kept, stderr)
			}
			s = v.start(t, "persistent", "")
			s.ready(t)
			s.expectWarm(t, "demo_key", "I am PMEM.")
			equal(t, "curr_items", s.stat(t, "", "curr_items"), items)
			s.stop(t)

			t.Logf("%-4s %5d MiB: usable %7.2f MiB, cache %4d MiB, share %.1f %%, free %.2f MiB, with state file %.2f MiB",
				test.fsType, test.size, float64(usable)/mib, size/mib, share, float64(spare)/mib, float64(left)/mib)
			if share < 85 {
				t.Errorf("the cache is %.1f %% of what may be used, want 85 %% or more", share)
			}
			if left <= 0 {
				t.Error("nothing is left free next to the state file")
			}
		})
	}
}

// TestTooSmall follows the remedy of the message and needs it to be right.
func TestTooSmall(t *testing.T) {
	notShort(t)
	needRoot(t)
	t.Parallel()
	for _, size := range []int64{16, 32, 40, 48, 50} {
		t.Run(fmt.Sprintf("%dMi", size), func(t *testing.T) {
			t.Parallel()
			v := mountVolume(t, "ext4", size*mib)
			status, stderr := v.run(t, initScript, nil)
			equal(t, "exit status", status, 1)
			match := regexp.MustCompile(`too small: .* can use \d+ MiB, memcached needs \d+ MiB .*request at least (\d+) MiB more`).FindStringSubmatch(stderr)
			if match == nil {
				t.Fatalf("message lacks sizes or remedy: %s", stderr)
			}
			entries, err := os.ReadDir(v.dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if entry.Name() != "lost+found" {
					t.Errorf("%s is left behind", entry.Name())
				}
			}
			more, err := strconv.ParseInt(match[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			mountVolume(t, "ext4", (size+more)*mib).prepare(t)
		})
	}
}

// TestFull fills the cache until memcached evicts, with values of all sizes.
func TestFull(t *testing.T) {
	notShort(t)
	needRoot(t)
	t.Parallel()
	type filesystem struct {
		fsType string
		size   int64
	}
	filesystems := []filesystem{{"ext4", 200}}
	if *allBounds {
		filesystems = append(filesystems, filesystem{"ext4", 1024}, filesystem{"xfs", 720})
	}
	for _, test := range filesystems {
		t.Run(test.fsType, func(t *testing.T) {
			t.Parallel()
			v := mountVolume(t, test.fsType, test.size*mib)
			size, _ := v.prepare(t)
			before := v.available(t)
			s := v.start(t, "persistent", "")
			s.ready(t)
			client := s.client()
			random := rand.New(rand.NewPCG(1, 2))
			value := make([]byte, mib)
			for written, n := int64(0), 0; written < 2*size; n++ {
				length := int64(1) << random.IntN(20)
				item := memcache.Item{Key: fmt.Sprint("key", n), Value: value[:length]}
				// A class without a page of its own yet may have to fail.
				if err := client.Set(&item); err != nil && !errors.Is(err, memcache.ErrServerError) && !strings.Contains(err.Error(), "out of memory") {
					t.Fatalf("set %s of %d bytes: %v\n%s", item.Key, length, err, s.log)
				}
				written += length
			}
			if evictions := s.stat(t, "", "evictions"); evictions == "0" {
				t.Fatal("no evictions: the cache is not full")
			}
			s.set(t, "demo_key", "I am PMEM.")
			items := s.stat(t, "", "curr_items")
			s.stop(t)
			left := v.available(t)
			t.Logf("%s %d MiB: %s items, free %.2f MiB before, %.2f MiB after", test.fsType, test.size, items, float64(before)/mib, float64(left)/mib)
			if left <= 0 {
				t.Error("nothing is left free")
			}
			s = v.start(t, "persistent", "")
			s.ready(t)
			s.expectWarm(t, "demo_key", "I am PMEM.")
			equal(t, "curr_items", s.stat(t, "", "curr_items"), items)
			s.stop(t)
		})
	}
}
