// Package logs reads the logs of a lab and copies them.
package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/redact"
)

// List returns the names of the logs that there are: those of the programs of
// this host, such as "etcd" and "node1", and those of what is in a node, such
// as "node1/console" and "node1/kubelet".
func List(dir state.Dir) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir.Logs(), func(path string, d fs.DirEntry, err error) error {
		name, isLog := strings.CutSuffix(path, state.LogSuffix)
		if err != nil || d.IsDir() || !isLog {
			return err
		}
		name, err = filepath.Rel(dir.Logs(), name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("logs of lab %s: %w", dir.Lab(), err)
	}
	slices.Sort(names)
	return names, nil
}

// Write writes the log of that name to w.
func Write(w io.Writer, dir state.Dir, name string) error {
	names, err := List(dir)
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("%w: lab %s has no log %q: it has %s", state.ErrUnknown, dir.Lab(), name, strings.Join(names, ", "))
	}
	f, err := os.Open(dir.Log(name))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// Save copies the output of the lab's programs, the consoles of its nodes
// included, to a directory, without secrets. It makes that if need be. Files
// keep their modes; one that is there already, or a link out of the directory, is
// an error.
func Save(dir state.Dir, to string, secrets *redact.Redactor) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	logs := dir.Logs()
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

// Keep copies the logs of a lab that is about to be removed into a directory
// whose name begins with prefix and that nobody can know beforehand, and returns
// it; empty: nothing is kept. With an error it may hold a part of them.
func Keep(dir state.Dir, prefix string) (kept string, err error) {
	if _, err := os.Stat(dir.Logs()); err != nil {
		return "", nil
	}
	if kept, err = os.MkdirTemp("", prefix); err != nil {
		return "", err
	}
	if err = Save(dir, kept, &redact.Redactor{}); err != nil && os.Remove(kept) == nil { // it is empty
		kept = ""
	}
	return kept, err
}
