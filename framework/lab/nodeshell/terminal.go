package nodeshell

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// openTerminal returns both ends of a pseudo-terminal (pty(7)).
func openTerminal() (far, near *os.File, err error) {
	far, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	var lock, number int32
	if err = control(far, syscall.TIOCSPTLCK, unsafe.Pointer(&lock)); err == nil {
		err = control(far, syscall.TIOCGPTN, unsafe.Pointer(&number))
	}
	if err == nil {
		near, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		far.Close()
		return nil, nil, err
	}
	return far, near, nil
}

// resize tells the programs of a terminal its size. One without rows or
// columns stays as it is.
func resize(terminal *os.File, s Size) error {
	if s.Rows == 0 || s.Columns == 0 {
		return nil
	}
	size := struct{ rows, columns, x, y uint16 }{rows: s.Rows, columns: s.Columns}
	return control(terminal, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

func control(f *os.File, command uintptr, argument unsafe.Pointer) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed syscall.Errno
	if err := conn.Control(func(fd uintptr) {
		_, _, failed = syscall.Syscall(syscall.SYS_IOCTL, fd, command, uintptr(argument))
	}); err != nil {
		return err
	}
	if failed != 0 {
		return os.NewSyscallError("ioctl", failed)
	}
	return nil
}
