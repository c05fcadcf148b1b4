// Command node-shell serves the lab's shells on a node: on each port of the
// virtual machine that is named on its command line it carries out one command
// after the other for the host.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"pmem-memcached-e2e/framework/lab/nodeshell"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: node-shell PORT…")
		os.Exit(3)
	}
	var serving sync.WaitGroup
	failed := make(chan error, len(os.Args))
	for _, name := range os.Args[1:] {
		serving.Go(func() { failed <- serve(name) })
	}
	fmt.Fprintln(os.Stderr, "node-shell:", <-failed)
	os.Exit(1)
}

// serve returns when the port cannot be served.
func serve(name string) error {
	device, err := find(name)
	if err != nil {
		return err
	}
	for {
		port, err := open(device)
		if err != nil {
			return fmt.Errorf("port %s: %w", name, err)
		}
		if err := nodeshell.Serve(port); err != nil {
			fmt.Fprintf(os.Stderr, "node-shell: port %s: %v\n", name, err)
		}
	}
}

// find returns the device of a port.
func find(name string) (string, error) {
	ports, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return "", err
	}
	for _, path := range ports {
		text, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(text)) == name {
			return "/dev/" + filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", fmt.Errorf("the virtual machine has no port %s", name)
}

// open opens a port and returns when the host has taken it up.
func open(device string) (*os.File, error) {
	fd, err := syscall.Open(device, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open "+device, err)
	}
	if err := awaitHost(fd); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("wait for the host: %w", err)
	}
	return os.NewFile(uintptr(fd), device), nil
}

// awaitHost returns when the host has taken up the port. One that it has not
// reads as if it were at its end, so that reading is no way to wait; but the
// kernel reports each change once.
func awaitHost(fd int) error {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer syscall.Close(epoll)
	const edge = -syscall.EPOLLET // the constant has the sign of the bit
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | edge}); err != nil {
		return err
	}
	for {
		events := make([]syscall.EpollEvent, 1)
		n, err := syscall.EpollWait(epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			return err
		}
		if n == 1 && events[0].Events&syscall.EPOLLHUP == 0 {
			return nil
		}
	}
}
