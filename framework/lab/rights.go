package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// withoutRights takes all capabilities from this thread, for good, and calls
// f. What f starts has none either and cannot get any: to it root is a user
// like others, who owns root's files. The thread must be onThread's.
func withoutRights(f func() error) error {
	for c := 0; ; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // beyond the kernel's last
			break
		}
		if err == nil && has == 1 {
			err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		}
		if err != nil {
			return fmt.Errorf("give up capability %d for good: %w; the lab needs CAP_SETPCAP for that", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up all capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up getting rights from programs: %w", err)
	}
	return f()
}
