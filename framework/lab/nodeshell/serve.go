package nodeshell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const shell = "/bin/bash"

// endLimit is how long a command gets to end after its session did.
const endLimit = 2 * time.Second

// Serve carries out one session. It returns when the command has ended and
// the host has let go of the port, which it closes. A port that the host lets
// go of before asking for anything is no error.
func Serve(port io.ReadWriteCloser) error {
	defer port.Close()
	k, payload, err := readFrame(port)
	if errors.Is(err, io.EOF) {
		return nil
	}
	var r request
	if err == nil && k != kindRequest {
		err = fmt.Errorf("a frame of kind %d", k)
	}
	if err == nil {
		err = json.Unmarshal(payload, &r)
	}
	if err != nil {
		return fmt.Errorf("the request of a session: %w", err)
	}
	if _, err := io.WriteString(port, r.Token); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &served{out: &frames{w: port}}
	if err := s.start(ctx, r); err != nil {
		if err := s.end(ending{Trouble: fmt.Sprintf("start %q: %v", r.Args, err)}); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, port)
		return err
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		s.take(port)
		// Nobody reads what the command still says.
		port.Close()
		cancel()
	}()
	// If the host has let go already, nobody hears of the end.
	_ = s.end(s.await())
	<-released
	return nil
}

// served is a command that runs for the host.
type served struct {
	out      *frames
	cmd      *exec.Cmd
	in       io.WriteCloser
	terminal *os.File      // nil for none
	copied   chan struct{} // closed when the terminal has said all
}

func (s *served) start(ctx context.Context, r request) error {
	args := r.Args
	switch len(args) {
	case 0:
		args = []string{shell, "-l"}
	case 1:
		args = []string{shell, "-c", args[0]}
	}
	s.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	s.cmd.Dir = "/root"
	if _, err := os.Stat(s.cmd.Dir); err != nil {
		s.cmd.Dir = "/"
	}
	s.cmd.Env = append(os.Environ(), "HOME="+s.cmd.Dir, "USER=root", "LANG=C.UTF-8", "CONTAINERD_NAMESPACE=k8s.io")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.cmd.Cancel = func() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGHUP) }
	s.cmd.WaitDelay = endLimit
	if r.Term != "" {
		return s.startOnTerminal(r)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.out.of(kindOutput), s.out.of(kindErrors)
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.in = in
	return s.cmd.Start()
}

func (s *served) startOnTerminal(r request) error {
	far, near, err := openTerminal()
	if err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	defer near.Close()
	if err := resize(far, r.Size); err != nil {
		far.Close()
		return err
	}
	s.cmd.Env = append(s.cmd.Env, "TERM="+r.Term)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = near, near, near
	s.cmd.SysProcAttr.Setctty = true
	if err := s.cmd.Start(); err != nil {
		far.Close()
		return err
	}
	s.terminal, s.in, s.copied = far, far, make(chan struct{})
	go func() {
		defer close(s.copied)
		// It ends with an error when the last process has let go of the terminal.
		_, _ = io.Copy(s.out.of(kindOutput), far)
	}()
	return nil
}

// take passes on what the host sends, until it lets go of the port.
func (s *served) take(port io.Reader) {
	for {
		k, payload, err := readFrame(port)
		if err != nil {
			return
		}
		// A command need not read what it gets, nor need it still run.
		switch k {
		case kindInput:
			_, _ = s.in.Write(payload)
		case kindInputEnd:
			if s.terminal == nil {
				_ = s.in.Close()
			}
		case kindRequest:
			// Another session has begun, unnoticed.
			return
		case kindResize:
			var size Size
			if s.terminal != nil && json.Unmarshal(payload, &size) == nil {
				_ = resize(s.terminal, size)
			}
		}
	}
}

// await returns how the command ended.
func (s *served) await() ending {
	err := s.cmd.Wait()
	if s.terminal != nil {
		<-s.copied
		s.terminal.Close()
	}
	// An error beside the state is about output that others still hold.
	if state := s.cmd.ProcessState; state != nil {
		if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return ending{Code: 128 + int(status.Signal())}
		}
		return ending{Code: state.ExitCode()}
	}
	return ending{Trouble: err.Error()}
}

// end tells the host how the command ended.
func (s *served) end(e ending) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.out.write(kindEnd, text)
}
