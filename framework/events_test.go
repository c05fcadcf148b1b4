package framework

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/redact"
)

func TestEventsAreNotHandedOn(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	// As the runner hands it to the suite: open in programs that are started.
	inherited, err := unix.Dup(int(write.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	stream, err := openEvents(fmt.Sprintf("/dev/fd/%d", inherited), &redact.Redactor{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.to.Close()
	flags, err := unix.FcntlInt(uintptr(inherited), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor of the runner has flags %d (%v), want FD_CLOEXEC", flags, err)
	}
}
