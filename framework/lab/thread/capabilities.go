// Package thread does what changes a thread for good: it has functions run on
// one of their own, and takes the capabilities from it.
package thread

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// WithoutCapabilities takes all capabilities from this thread, for good, and calls
// f. What f starts has none either and cannot get any: to it root is a user
// like others, who owns root's files. The thread must be On's.
func WithoutCapabilities(f func() error) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has, none [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		return fmt.Errorf("find out which capabilities there are: %w", err)
	}
	// Who has none cannot change the bounding set.
	if has != none {
		if err := emptyBoundingSet(); err != nil {
			return err
		}
	}
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up all capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up getting capabilities from programs: %w", err)
	}
	return f()
}

// emptyBoundingSet has no program started by this thread get a capability.
func emptyBoundingSet() error {
	for c := 0; ; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // beyond the kernel's last
			return nil
		}
		if err == nil && has == 1 {
			err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		}
		if err != nil {
			return fmt.Errorf("give up capability %d for good: %w; the lab needs CAP_SETPCAP for that", c, err)
		}
	}
}

// On calls f on a thread of its own, which ends with it: what f changes
// of its thread is not for anything else in this process.
func On(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		result <- f()
	}()
	return <-result
}
