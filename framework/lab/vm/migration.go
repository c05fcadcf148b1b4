package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/wait"
)

func (m Machine) migrationSocket() string { return m.file("migration.sock") }

// ignoreShared leaves memory that is in files out of a machine's state. It is
// QEMU's name for it, and has been since release 4.0.
var ignoreShared = qmp.Command{Execute: "migrate-set-capabilities", Arguments: map[string]any{
	"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}},
}}

// SaveState writes the state of a machine that is stopped.
func (m Machine) SaveState(ctx context.Context, path string) error {
	listener, err := net.Listen("unix", m.migrationSocket())
	if err != nil {
		return err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	if err := m.Ask(ctx, ignoreShared, nil); err != nil {
		return err
	}
	if err := m.Ask(ctx, qmp.Command{Execute: "migrate", Arguments: map[string]string{"uri": "unix:" + m.migrationSocket()}}, nil); err != nil {
		return err
	}
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, conn)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return m.awaitMigration(ctx)
}

func (m Machine) awaitMigration(ctx context.Context) error {
	soon := m.Waiter
	soon.Interval = 20 * time.Millisecond
	return soon.Until(ctx, wait.LabFrozen, "the state of "+m.Name()+" to be complete", func(ctx context.Context) (bool, string, error) {
		var answer struct {
			Status string `json:"status"`
			Error  string `json:"error-desc"`
		}
		err := m.Ask(ctx, qmp.Command{Execute: "query-migrate"}, &answer)
		if answer.Status == "failed" || answer.Status == "cancelled" {
			err = wait.Stop(fmt.Errorf("QEMU %s: %s", answer.Status, answer.Error))
		}
		return answer.Status == "completed", "QEMU says " + answer.Status, err
	})
}

// LoadState has a machine that was started without running take over a state
// that SaveState wrote.
func (m Machine) LoadState(ctx context.Context, path string) error {
	if err := m.Waiter.Until(ctx, wait.LabFrozen, "QEMU of "+m.Name()+" to answer", func(ctx context.Context) (bool, string, error) {
		if err := m.Alive(); err != nil {
			return false, "", err
		}
		err := m.Ask(ctx, ignoreShared, nil)
		return err == nil, "", err
	}); err != nil {
		return err
	}
	if err := m.Ask(ctx, qmp.Command{Execute: "migrate-incoming", Arguments: map[string]string{"uri": "unix:" + m.migrationSocket()}}, nil); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", m.migrationSocket())
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, f)
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("%w; the end of QEMU's log:\n%s", err, process.LogTail(m.Dir.Log(m.Name()), 8))
	}
	return m.awaitMigration(ctx)
}
