package lab

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const logSuffix = ".log"

// Logs returns the names of the logs that there are: those of the programs of
// this host, such as "etcd" and "node1", and those of what is in a node, such
// as "node1/console" and "node1/kubelet".
func (l *Lab) Logs() ([]string, error) {
	var names []string
	err := filepath.WalkDir(l.path("logs"), func(path string, d fs.DirEntry, err error) error {
		name, isLog := strings.CutSuffix(path, logSuffix)
		if err != nil || d.IsDir() || !isLog {
			return err
		}
		name, err = filepath.Rel(l.path("logs"), name)
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
	f, err := os.Open(l.path("logs", name+logSuffix))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// SaveLogs copies the output of the lab's programs, the consoles of its nodes
// included, to dir.
func (l *Lab) SaveLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(l.path("logs")))
}

func logTail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
