package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/thread"
)

func TestCheckOwner(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	var others error
	if os.Geteuid() == 0 {
		others = errors.Join(os.Mkdir(path("others"), 0o700), os.Chown(path("others"), 12345, 12345))
	}
	if err := errors.Join(others, os.Mkdir(path("own"), 0o700), os.Mkdir(path("shared"), 0o700), os.Chmod(path("shared"), 0o770),
		os.Symlink(path("own"), path("link")), os.WriteFile(path("file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"absent": true, "own": true, "shared": false, "link": false, "file": false, "others": os.Geteuid() != 0} {
		err := CheckOwner(path(name))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "state directory "+path(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckTun(t *testing.T) {
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	if err := errors.Join(os.WriteFile(closed, nil, 0), os.WriteFile(filepath.Join(dir, "open"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := CheckTun(filepath.Join(dir, "open")); err != nil {
		t.Error(err)
	}
	if err := CheckTun(filepath.Join(dir, "absent")); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "kernel module tun") {
		t.Errorf("absent: %v", err)
	}
	err := thread.On(func() error { return thread.WithoutCapabilities(func() error { return CheckTun(closed) }) })
	if !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "chmod 0666 "+closed) || !strings.Contains(err.Error(), "setfacl") {
		t.Errorf("closed: %v", err)
	}
}

func TestCheckReach(t *testing.T) {
	dir := t.TempDir()
	if err := CheckReach(dir); err != nil {
		t.Error(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	if err := CheckReach(closed); !errors.Is(err, ErrUnfit) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CACHE_DIR") {
		t.Errorf("err = %v", err)
	}
}
