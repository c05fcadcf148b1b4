package labcmd

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/cache"
)

func parsePrune(args []string) (artifact.Policy, bool, error) {
	var f pruneFlags
	set := pflag.NewFlagSet("prune", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	f.register(set)
	if err := set.Parse(args); err != nil {
		return artifact.Policy{}, false, err
	}
	policy, err := f.policy()
	return policy, f.dryRun, err
}

func TestParsePrune(t *testing.T) {
	for _, tt := range []struct {
		args   string
		want   artifact.Policy
		dryRun bool
	}{
		{"", artifact.Policy{}, false},
		{"--dry-run", artifact.Policy{}, true},
		{"--keep 20Gi", artifact.Policy{Keep: 20 << 30}, false},
		{"--keep=500M --dry-run", artifact.Policy{Keep: 500e6}, true},
		{"--keep 0", artifact.Policy{}, false},
		{"--unused 36h", artifact.Policy{Unused: 36 * time.Hour}, false},
	} {
		policy, dryRun, err := parsePrune(strings.Fields(tt.args))
		if err != nil || policy != tt.want || dryRun != tt.dryRun {
			t.Errorf("%q: %+v, %v, %v; want %+v, %v", tt.args, policy, dryRun, err, tt.want, tt.dryRun)
		}
	}
}

func TestParsePruneRefuses(t *testing.T) {
	for _, tt := range []struct{ args, field, value, remedy string }{
		{"--keep much", "--keep", "much", "20Gi"},
		{"--keep -1Gi", "--keep", "-1Gi", "20Gi"},
		{"--keep 0.5", "--keep", "0.5", "20Gi"},
		{"--keep 20GiB", "--keep", "20GiB", "20Gi"},
		{"--keep 1e30", "--keep", "1e30", "20Gi"},
		{"--unused 3d", "--unused", "3d", "168h"},
		{"--unused -1h", "--unused", "-1h", "168h"},
		{"--keep 1Gi --unused 1h", "--keep", "1Gi", "either"},
	} {
		_, _, err := parsePrune(strings.Fields(tt.args))
		var refused *config.FieldError
		if !errors.As(err, &refused) || refused.Field != tt.field || refused.Value != tt.value || !strings.Contains(refused.Remedy, tt.remedy) {
			t.Errorf("%q: %v, want %s=%q and %q", tt.args, err, tt.field, tt.value, tt.remedy)
		}
	}
	for _, args := range []string{"--size 1Gi"} {
		if _, _, err := parsePrune(strings.Fields(args)); err == nil {
			t.Errorf("%q is not refused", args)
		}
	}
}

func TestWriteEntries(t *testing.T) {
	now := time.Now()
	entry := func(name string, size int64, used time.Duration) artifact.Entry {
		return artifact.Entry{Name: name, Size: size, Made: now.Add(-50 * time.Hour), Used: now.Add(-used)}
	}
	var b strings.Builder
	writeEntries(&b, []cache.Entry{
		{Entry: entry("disk-1", 3<<29, 49*time.Hour), NeededBy: []string{"lab default", "this checkout"}},
		{Entry: entry("etcd-2", 24<<20, 5*time.Minute)},
	}, now)
	for _, want := range []string{
		"ARTIFACT  SIZE     AGE     LAST USE  NEEDED BY\n",
		"disk-1    1.5 GiB  2 days  2 days    lab default, this checkout\n",
		"etcd-2    24 MiB   2 days  5 min     nothing\n",
		"2 artifacts, 1.5 GiB, of which nothing needs 24 MiB\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table is\n%s, want\n%s", b.String(), want)
		}
	}
}
