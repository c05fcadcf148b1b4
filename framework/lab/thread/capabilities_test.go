package thread

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestWithoutCapabilities(t *testing.T) {
	before, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	var status []byte
	if err := On(func() error {
		return WithoutCapabilities(func() (err error) {
			status, err = exec.Command("cat", "/proc/self/status").Output()
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n"}
	if os.Geteuid() == 0 {
		want = append(want, "CapBnd:\t0000000000000000\n")
	}
	for _, want := range want {
		if !strings.Contains(string(status), want) {
			t.Errorf("want %q in\n%s", want, status)
		}
	}
	after, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	if was, is := capabilities(before), capabilities(after); was != is || was == "" {
		t.Errorf("this process had %q, and has %q", was, is)
	}
}

func capabilities(status []byte) string {
	var lines []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
