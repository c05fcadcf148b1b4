package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/lab/userns"
)

// userVariable is the id of the ordinary user whose root this process is.
const userVariable = "PMEM_LAB_USER"

// BecomeRoot runs this program again, with the same arguments, as root of a
// user namespace, unless it is root already: of the namespace that the
// processes of the lab are in, or of a new one if there are none. It does not
// return then. The error wraps ErrUnfit.
func BecomeRoot(lab *process.Group) error {
	if err := userns.Arrive(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if os.Geteuid() == 0 {
		return nil
	}
	env := []string{
		fmt.Sprintf("%s=%d", userVariable, os.Getuid()),
		// Where root looks for programs, and many users do not.
		fmt.Sprintf("PATH=%s:/usr/local/sbin:/usr/sbin:/sbin", os.Getenv("PATH")),
	}
	for _, p := range lab.List() {
		if err := userns.Join(p.PID, env...); !errors.Is(err, userns.ErrEnded) {
			return fmt.Errorf("%w: %w", ErrUnfit, err)
		}
	}
	return fmt.Errorf("%w without root: %w; or run as root, or give the KUBECONFIG of a cluster that has PMEM-CSI", ErrUnfit, userns.Enter(env...))
}

// OwnerID is the id of the user whose lab this is, 0 for that of root.
func OwnerID() int {
	if id, err := strconv.Atoi(os.Getenv(userVariable)); err == nil && os.Geteuid() == 0 {
		return id
	}
	return os.Getuid()
}

// OwnName names what a lab has in directories that all users share.
func OwnName(lab string) string {
	if id := OwnerID(); id != 0 {
		return fmt.Sprintf("pmem-lab-%d-%s", id, lab)
	}
	return "pmem-lab-" + lab
}

// StateDir returns the directory above those of the user's labs. It does not depend on the options or on the session, so that a lab is
// found again whatever cache it was started from and wherever the user is
// logged in. An ordinary user's is on disk: the disks of nodes grow by GiBs,
// and a session's own directory has little room and ends with the session.
func StateDir() string {
	if id := OwnerID(); id != 0 {
		return fmt.Sprintf("/var/tmp/pmem-memcached-e2e-%d", id)
	}
	return "/run/pmem-memcached-e2e"
}

// CheckOwner refuses a directory that others can change, if there is one.
func CheckOwner(dir string) error {
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

// CheckTun finds out whether virtual machines can have network devices.
func CheckTun(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w; have root call chmod 0666 %[3]s, which is what udev does, or setfacl -m u:%[4]d:rw %[3]s", ErrUnfit, err, path, OwnerID())
	case err != nil:
		return fmt.Errorf("%w: %w; load the kernel module tun", ErrUnfit, err)
	}
	return f.Close()
}

// CheckReach finds out whether programs without capabilities can be started from dir.
func CheckReach(dir string) error {
	return thread.On(func() error {
		return thread.WithoutCapabilities(func() error {
			if _, err := os.ReadDir(dir); err != nil {
				return fmt.Errorf("%w: the lab's programs have no permissions on files of others and cannot reach the cache: %w; name a directory of your own with CACHE_DIR", ErrUnfit, err)
			}
			return nil
		})
	})
}
