package vm

import (
	"context"
	"errors"
	"time"

	"pmem-memcached-e2e/framework/lab/qmp"
)

// monitorLimit is how long QEMU may take to answer: it does at once, or hangs.
const monitorLimit = 5 * time.Second

// Ask has QEMU carry out a command and decodes what it returns into result,
// which may be nil.
func (m Machine) Ask(ctx context.Context, command qmp.Command, result any) error {
	ctx, cancel := context.WithTimeout(ctx, monitorLimit)
	defer cancel()
	monitor, err := qmp.Dial(ctx, m.file(monitorFile))
	if err != nil {
		return err
	}
	return errors.Join(monitor.Execute(ctx, command, result), monitor.Close())
}

// Do has QEMU carry out a command that has no arguments and no result.
func (m Machine) Do(ctx context.Context, command string) error {
	return m.Ask(ctx, qmp.Command{Execute: command}, nil)
}
