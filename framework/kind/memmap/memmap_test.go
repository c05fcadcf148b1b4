package memmap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPropose(t *testing.T) {
	tests := []struct {
		file string
		size uint64
		want string // of the argument, or words of the error
		fits bool
	}{
		{"vm-24g", 2 * GiB, "memmap=2G!4G", true},
		{"vm-24g", 20 * GiB, "memmap=20G!4G", true},
		{"vm-24g", 21*GiB + 128*MiB, "100000000-63fffffff", false},
		{"laptop-16g", 2 * GiB, "memmap=2G!4G", true},
		{"laptop-16g", 1536 * MiB, "memmap=1536M!4G", true},
		// As a whole this one has 14676 MiB, in sections 14592.
		{"laptop-16g", 14592 * MiB, "memmap=14592M!4G", true},
		{"laptop-16g", 14720 * MiB, "no range", false},
		// Both sockets' memory is one range, and the crash kernel within it does not count.
		{"server-two-sockets", 256 * GiB, "memmap=256G!4G", true},
		// The first range begins 1 MiB too late, and has room for 1024 MiB only from the next section on.
		{"desktop-8g-fragmented", 1 * GiB, "memmap=1G!6G", true},
		{"desktop-8g-fragmented", 2 * GiB, "memmap=2G!5376M", true},
		{"desktop-8g-fragmented", 3 * GiB, "100100000-14befffff, 14c000000-1fe7fffff", false},
		{"vm-4g", 1 * GiB, "memmap=1G!4G", true},
		{"vm-4g", 4 * GiB, "no range", false},
		{"vm-2g", 512 * MiB, "there are: none", false},
		{"memmap-given", 1 * GiB, "memmap=1G!4G", true},
		{"memmap-given", 2 * GiB, "memmap=2G!7G", true},
		{"vm-24g", 100 * MiB, "want a multiple of 128 MiB", false},
		{"vm-24g", 0, "want a multiple of 128 MiB", false},
	}
	for _, tt := range tests {
		t.Run(tt.file+"/"+tt.want, func(t *testing.T) {
			ranges := read(t, tt.file)
			got, err := Propose(ranges, tt.size)
			if !tt.fits {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("Propose: %v, %v; want an error with %q", got, err, tt.want)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Fatalf("Propose: %v, %v; want %s", got, err, tt.want)
			}
			within(t, ranges, got)
		})
	}
}

// within checks on its own that all of the part is main memory above 4 GiB,
// in whole sections.
func within(t *testing.T, ranges []Range, a Argument) {
	if a.Start < lowest || a.Start%section != 0 || a.Size%section != 0 {
		t.Errorf("%v is not in sections above 4 GiB", a)
	}
	for address := a.Start; address < a.Start+a.Size; address += section {
		for _, at := range []uint64{address, address + section - 1} {
			found := false
			for _, r := range ranges {
				found = found || r.Name == "System RAM" && r.Start <= at && at <= r.End
			}
			if !found {
				t.Fatalf("%v: address %x is not main memory", a, at)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no name", "00000000-00000fff Reserved\n", "line 1"},
		{"no end", "00000000 : Reserved\n", "line 1"},
		{"not hexadecimal", "00000000-00000fff : Reserved\n0000zz00-00000fff : Reserved\n", "line 2"},
		{"backwards", "00001000-00000fff : Reserved\n", "ends before it begins"},
		{"empty", "", ErrHidden.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if ranges, err := Parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse: %v, %v; want an error with %q", ranges, err, tt.want)
			}
		})
	}
	text, err := os.ReadFile("testdata/ordinary-user.iomem")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(string(text)); !errors.Is(err, ErrHidden) {
		t.Errorf("of an ordinary user: %v, want %v", err, ErrHidden)
	}
}

func TestLegacy(t *testing.T) {
	for file, want := range map[string]bool{"memmap-given": true, "vm-24g": false} {
		if got := Legacy(read(t, file)); got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}

func TestGiven(t *testing.T) {
	got := Given(`BOOT_IMAGE=/vmlinuz root=/dev/sda1 "memmap=2G!4G" memmap=64K$0x18690000 quiet memmap=1G!8G`)
	if want := "memmap=2G!4G memmap=1G!8G"; strings.Join(got, " ") != want {
		t.Errorf("Given: %q, want %s", got, want)
	}
}

func read(t *testing.T, name string) []Range {
	text, err := os.ReadFile(filepath.Join("testdata", name+".iomem"))
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return ranges
}
