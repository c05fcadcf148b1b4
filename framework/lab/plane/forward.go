package plane

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

// forwardVariable makes this executable the lab's forwarder.
const forwardVariable = "PMEM_LAB_FORWARD_TO"

// listenerFD is the descriptor that the forwarder gets its listener by.
const listenerFD = 3

// startForwarder opens the way from 127.0.0.1 of the host to the API server in
// the lab's namespace, and writes the administrator's kubeconfig. The listener
// is made here, in the host's namespace, and handed to a process in the lab's:
// a socket stays in the namespace that it was made in.
func startForwarder(dir state.Dir, programs *process.Group, port int) error {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return fmt.Errorf("port of the lab's API server: %w; name a free one with LAB_PORT, or 0 for any", err)
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	// This executable, wherever it lies.
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "lab-forwarder"
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = []string{forwardVariable + "=" + topology.APIAddress}
	if _, err := programs.Start(forwarder, cmd); err != nil {
		return err
	}
	return writeKubeconfig(dir, dir.Kubeconfig(), "admin", "https://"+listener.Addr().String())
}

// RunForwarder runs this process as a lab's forwarder if it was started as one,
// and then does not return.
func RunForwarder() {
	if target := os.Getenv(forwardVariable); target != "" {
		fmt.Fprintln(os.Stderr, "forwarder:", forward(os.NewFile(listenerFD, "listener"), target))
		os.Exit(1)
	}
}

// forward returns when it can accept no more connections, with the reason.
func forward(file *os.File, target string) error {
	listener, err := net.FileListener(file)
	if err != nil {
		return err
	}
	file.Close()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := join(conn, target); err != nil {
				fmt.Fprintln(os.Stderr, "forwarder:", err)
			}
		}()
	}
}

// join carries bytes both ways until both ends have said all. A peer that goes
// away in the middle is the other's business to notice.
func join(client net.Conn, target string) error {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return err
	}
	defer server.Close()
	var wg sync.WaitGroup
	for _, way := range [2][2]*net.TCPConn{
		{server.(*net.TCPConn), client.(*net.TCPConn)},
		{client.(*net.TCPConn), server.(*net.TCPConn)},
	} {
		wg.Go(func() {
			io.Copy(way[0], way[1])
			way[0].CloseWrite()
		})
	}
	wg.Wait()
	return nil
}
