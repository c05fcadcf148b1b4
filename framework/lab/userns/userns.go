// Package userns lets an ordinary user's program be root of a user namespace:
// it runs itself again there. All ids that a Debian root filesystem uses are
// known in it, so what is made there can belong to any of them.
package userns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrRefused is wrapped by errors that say that this host does not let its
// user have such a namespace. They name the setting and the remedy.
var ErrRefused = errors.New("no user namespace")

// ErrEnded is wrapped by errors that say that a process has ended.
var ErrEnded = errors.New("it has ended")

// descriptorVariable is the number by which the program that runs again has
// the namespace open.
const descriptorVariable = "PMEM_LAB_NAMESPACE_FD"

// Arrive ends what the way into a namespace left in this process. It does
// nothing in a process that did not come that way.
func Arrive() error {
	text := os.Getenv(descriptorVariable)
	if text == "" {
		return nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s=%q: want the number of a descriptor; do not set it", descriptorVariable, text)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it was entered, and this process is still user %d there", ErrRefused, os.Geteuid())
	}
	return errors.Join(os.Unsetenv(descriptorVariable), unix.Close(fd))
}

// Join runs this program again, with the same arguments and with env taking
// the place of what its environment has by the same names, as root of the user namespace of a process of the same user.
// It returns only if that fails.
func Join(pid int, env ...string) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("user namespace of process %d: %w: %w", pid, ErrEnded, err)
	}
	if err != nil {
		return fmt.Errorf("user namespace of process %d: %w", pid, err)
	}
	defer ns.Close()
	return again(ns, env)
}

// Enter is Join with a new namespace. Those that Enter makes for one user have
// the same ids: what was made in one can be removed in another.
func Enter(env ...string) error {
	me, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return fmt.Errorf("%w: user %d has no name: %w; add it to /etc/passwd", ErrRefused, os.Getuid(), err)
	}
	ids, err := permitted(os.DirFS("/"), exec.LookPath, me)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	ns, err := ids.make()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer ns.Close()
	return again(ns, env)
}

// nsenter are the arguments that run a program in the namespace that is open
// as fd. This process cannot enter it itself: it has several threads.
func nsenter(fd int, program ...string) []string {
	return append([]string{"nsenter", fmt.Sprintf("--user=/proc/self/fd/%d", fd), "--preserve-credentials", "--"}, program...)
}

func again(ns *os.File, env []string) error {
	path, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fd := int(ns.Fd())
	if _, err := unix.FcntlInt(ns.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("keep the user namespace open: %w", err)
	}
	cmd := exec.Cmd{Env: append(append(os.Environ(), env...), fmt.Sprintf("%s=%d", descriptorVariable, fd))}
	if err := syscall.Exec(path, nsenter(fd, append([]string{self}, os.Args[1:]...)...), cmd.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return nil
}

// make returns a new namespace with these ids. What it was made with has
// ended then.
func (ids mapping) make() (ns *os.File, err error) {
	// A namespace needs a process while its ids are written. This one waits
	// until nobody can write to its input.
	holder := exec.Command("cat")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	input, err := holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := holder.Start(); err != nil {
		return nil, fmt.Errorf("make one: %w%s", err, appArmor(os.DirFS("/")))
	}
	defer func() { err = errors.Join(err, input.Close(), holder.Wait()) }()
	for _, m := range []struct {
		helper string
		ids    []string
	}{{"newuidmap", ids.uids}, {"newgidmap", ids.gids}} {
		if err := call(exec.Command(m.helper, append([]string{strconv.Itoa(holder.Process.Pid)}, m.ids...)...)); err != nil {
			return nil, fmt.Errorf("give it ids: %w", err)
		}
	}
	if ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", holder.Process.Pid)); err != nil {
		return nil, err
	}
	// Some kernels let users make one and forbid everything in it.
	args := nsenter(3, "unshare", "--net", "true")
	probe := exec.Command(args[0], args[1:]...)
	probe.ExtraFiles = []*os.File{ns}
	if err := call(probe); err != nil {
		return nil, errors.Join(fmt.Errorf("it was made and gives no permissions: %w%s", err, appArmor(os.DirFS("/"))), ns.Close())
	}
	return ns, nil
}

func call(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
