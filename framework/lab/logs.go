package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/redact"
)

// Logs returns the names of the logs that there are: those of the programs of
// this host, such as "etcd" and "node1", and those of what is in a node, such
// as "node1/console" and "node1/kubelet".
func (l *Lab) Logs() ([]string, error) {
	var names []string
	err := filepath.WalkDir(l.dir.Logs(), func(path string, d fs.DirEntry, err error) error {
		name, isLog := strings.CutSuffix(path, state.LogSuffix)
		if err != nil || d.IsDir() || !isLog {
			return err
		}
		name, err = filepath.Rel(l.dir.Logs(), name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("logs of lab %s: %w", l.opts.Name, err)
	}
	slices.Sort(names)
	return names, nil
}

// WriteLog writes the log of that name to w.
func (l *Lab) WriteLog(w io.Writer, name string) error {
	names, err := l.Logs()
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("%w: lab %s has no log %q: it has %s", ErrUnknown, l.opts.Name, name, strings.Join(names, ", "))
	}
	f, err := os.Open(l.dir.Log(name))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// SaveLogs copies the output of the lab's programs, the consoles of its nodes
// included, to dir, without secrets. It makes dir if need be. Files keep their
// modes; one that is there already, or a link out of dir, is an error.
func (l *Lab) SaveLogs(dir string, secrets *redact.Redactor) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	logs := l.dir.Logs()
	return filepath.WalkDir(logs, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(logs, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return root.MkdirAll(name, 0o700)
		}
		return copyInto(root, name, path, secrets)
	})
}

func copyInto(root *os.Root, name, path string, secrets *redact.Redactor) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	redacted := secrets.Writer(to)
	_, err = io.Copy(redacted, from)
	return errors.Join(err, redacted.Close(), to.Close())
}

// keepLogs copies the logs of a lab that is about to be removed into a
// directory with a name that nobody can know beforehand, and returns it; empty:
// nothing is kept. With an error it may hold a part of them.
func (l *Lab) keepLogs() (dir string, err error) {
	if _, err := os.Stat(l.dir.Logs()); err != nil {
		return "", nil
	}
	if dir, err = os.MkdirTemp("", host.OwnName(l.opts.Name)+"-failed-"); err != nil {
		return "", err
	}
	if err = l.SaveLogs(dir, &redact.Redactor{}); err != nil && os.Remove(dir) == nil { // it is empty
		dir = ""
	}
	return dir, err
}
