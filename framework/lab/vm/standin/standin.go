// Package standin stands in for the virtual machine of a node in tests: a
// process that the lab finds, and a monitor that answers.
package standin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

// Machine is what stands in.
type Machine struct {
	Process *os.Process
	Ended   chan struct{}

	mu      sync.Mutex
	running bool
	deaf    bool
	resets  int
}

// Start starts the machine of a node of the lab in dir. It ends with the test.
func Start(t *testing.T, dir state.Dir, programs *process.Group, n topology.Node) *Machine {
	t.Helper()
	if err := os.MkdirAll(dir.Node(n), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := Sleep(t, programs, n.Name())
	m := &Machine{Process: cmd.Process, running: true, Ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(m.Ended)
	}()
	t.Cleanup(func() {
		m.Process.Kill()
		<-m.Ended
	})
	listener, err := net.Listen("unix", dir.Node(n, "qmp.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			m.serve(conn)
		}
	}()
	return m
}

// Sleep starts a program of the lab that does nothing, and returns it when it
// can be found. Its caller waits for it.
func Sleep(t *testing.T, programs *process.Group, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = programs.Environment(name, nil)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := programs.AwaitMark(name, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Deafen has the machine not react to its power button.
func (m *Machine) Deafen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaf = true
}

// Resets returns how often the machine was reset.
func (m *Machine) Resets() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resets
}

func (m *Machine) serve(conn net.Conn) {
	defer conn.Close()
	fmt.Fprintln(conn, `{"QMP": {}}`)
	for s := bufio.NewScanner(conn); s.Scan(); {
		var command struct{ Execute string }
		json.Unmarshal(s.Bytes(), &command)
		m.mu.Lock()
		answer := "{}"
		switch command.Execute {
		case "query-status":
			answer = fmt.Sprintf(`{"running": %v, "status": "any"}`, m.running)
		case "stop":
			m.running = false
		case "cont":
			m.running = true
		case "system_reset":
			m.resets++
		case "system_powerdown":
			if !m.deaf {
				m.Process.Kill()
			}
		}
		m.mu.Unlock()
		fmt.Fprintf(conn, `{"return": %s}`+"\n", answer)
	}
}
