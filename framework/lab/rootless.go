package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/lab/userns"
)

// userVariable is the id of the ordinary user whose root this process is.
const userVariable = "PMEM_LAB_USER"

// BecomeRoot runs this program again, with the same arguments, as root of a
// user namespace, unless it is root already: of the namespace that the lab's
// processes are in, or of a new one if there are none. It does not return
// then. A program calls it before all else that it does with the lab. The
// error wraps ErrHost.
func (l *Lab) BecomeRoot() error {
	if err := userns.Arrive(); err != nil {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	if os.Geteuid() == 0 {
		return nil
	}
	env := []string{
		fmt.Sprintf("%s=%d", userVariable, os.Getuid()),
		// Where root looks for programs, and many users do not.
		fmt.Sprintf("PATH=%s:/usr/local/sbin:/usr/sbin:/sbin", os.Getenv("PATH")),
	}
	for _, p := range l.processes() {
		if err := userns.Join(p.pid, env...); !errors.Is(err, userns.ErrEnded) {
			return fmt.Errorf("%w: %w", ErrHost, err)
		}
	}
	return fmt.Errorf("%w without root: %w; or run as root, or give the KUBECONFIG of a cluster that has PMEM-CSI", ErrHost, userns.Enter(env...))
}

// ownerID is the id of the user whose lab this is, 0 for that of root.
func ownerID() int {
	if id, err := strconv.Atoi(os.Getenv(userVariable)); err == nil && os.Geteuid() == 0 {
		return id
	}
	return os.Getuid()
}

// ownName names what the lab has in directories that all users share.
func (l *Lab) ownName() string {
	if id := ownerID(); id != 0 {
		return fmt.Sprintf("pmem-lab-%d-%s", id, l.opts.Name)
	}
	return l.namespace()
}

// stateDir does not depend on the options or on the session, so that a lab is
// found again whatever cache it was started from and wherever the user is
// logged in. An ordinary user's is on disk: the disks of nodes grow by GiBs,
// and a session's own directory has little room and ends with the session.
func stateDir() string {
	if id := ownerID(); id != 0 {
		return fmt.Sprintf("/var/tmp/pmem-memcached-e2e-%d", id)
	}
	return "/run/pmem-memcached-e2e"
}

// checkOwner refuses a directory that others can change, if there is one.
func checkOwner(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if !info.IsDir() || owner != os.Geteuid() || info.Mode()&0o022 != 0 {
		return fmt.Errorf("state directory %s: it is %s of user %d, not a directory that only this user can write to; have it removed", dir, info.Mode(), owner)
	}
	return nil
}

// checkTun finds out whether virtual machines can have network devices.
func checkTun(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w; have root call chmod 0666 %[3]s, which is what udev does, or setfacl -m u:%[4]d:rw %[3]s", ErrHost, err, path, ownerID())
	case err != nil:
		return fmt.Errorf("%w: %w; load the kernel module tun", ErrHost, err)
	}
	return f.Close()
}

// checkReach finds out whether programs without capabilities can be started from dir.
func checkReach(dir string) error {
	return thread.On(func() error {
		return thread.WithoutCapabilities(func() error {
			if _, err := os.ReadDir(dir); err != nil {
				return fmt.Errorf("%w: the lab's programs have no permissions on files of others and cannot reach the cache: %w; name a directory of your own with CACHE_DIR", ErrHost, err)
			}
			return nil
		})
	})
}

// makeOwn makes a directory that nobody else has made before.
func makeOwn(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}
