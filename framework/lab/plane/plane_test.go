package plane

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

func TestKeys(t *testing.T) {
	dir := state.Dir(t.TempDir())
	if err := MakeKeys(dir, topology.Nodes(1)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir.Key("*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("keys: %v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(f), info.Mode().Perm())
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", dir.Key("admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://"+topology.APIAddress || len(config.KeyData) == 0 || len(config.CAData) == 0 || config.Insecure {
		t.Errorf("kubeconfig: host %s, insecure %v", config.Host, config.Insecure)
	}
}

// The forwarder carries both ways and passes on the end of each.
func TestForward(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		conn, err := target.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		said, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "heard %s", said)
	}()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := front.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	go forward(file, target.Addr().String())

	conn, err := net.DialTimeout("tcp", front.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "words"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "heard words" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := state.Dir(t.TempDir())
	if err := startForwarder(dir, process.Of(dir, wait.Scale{}), taken.Addr().(*net.TCPAddr).Port); err == nil || !strings.Contains(err.Error(), "LAB_PORT") {
		t.Errorf("err = %v, want one that names LAB_PORT", err)
	}
}
