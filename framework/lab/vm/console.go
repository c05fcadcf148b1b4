package vm

import (
	"bytes"
	"fmt"
	"os"

	"pmem-memcached-e2e/framework/lab/process"
)

// panicMark is what a kernel says that starts again.
const panicMark = "] Kernel panic - "

// hangMark is what a kernel says, every minute at least, when one of its
// processors gets no timer interrupts any more. It was seen to happen to an
// emulated one that had just begun to boot, and does not end by itself.
const hangMark = "rcu_preempt kthread timer wakeup didn't happen"

// Mishaps counts the panics and the hangs of the node's kernel since the lab
// came up.
func (m Machine) Mishaps() (panics, hangs int) {
	said, err := os.ReadFile(m.consoleLog())
	if err != nil {
		return 0, 0
	}
	return bytes.Count(said, []byte(panicMark)), bytes.Count(said, []byte(hangMark))
}

// WithConsole adds the end of what the node's console said to an error.
func (m Machine) WithConsole(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\nthe end of the console of %s:\n%s", err, m.Name(), process.LogTail(m.consoleLog(), 12))
}
