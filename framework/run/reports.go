package run

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render"
)

// Names below the report directory; render.Files has those of the other forms.
const (
	reportFile  = "report.yaml"
	summaryFile = "summary.md"
	suiteLog    = "suite.log" // of the first process that runs specs, see logOf
	evidence    = "evidence"
)

func (r *Runner) path(name string) string { return filepath.Join(r.Config.ReportDir, name) }

func (r *Runner) relative(path string) string {
	if rel, err := filepath.Rel(r.Root, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// labLogs is the directory with the logs of a lab, which its provider writes.
const labLogs = "lab"

// written are the names below the report directory that a run removes and
// writes.
func written() []string {
	return append(append(render.Names(), reportFile, evidence), suiteLogs()...)
}

// cleanReports removes what an earlier run left, so that it is never taken for
// this run's, and makes the directory.
func cleanReports(dir string) error {
	for _, name := range written() {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove the earlier report: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the report directory: %w", err)
	}
	return nil
}

// claim takes the report directory for this run, and the lab that it uses, and
// removes the report of an earlier run. A directory with other files is
// refused.
func (r *Runner) claim() (release func(), err error) {
	dir := r.Config.ReportDir
	refuse := func(err error) (func(), error) {
		return nil, &UsageError{&config.FieldError{Field: "REPORT_DIR", Value: dir, Remedy: err.Error()}}
	}
	if err := foreign(dir); err != nil {
		return refuse(err)
	}
	unlock, err := Lock(filepath.Join(dir, lockFile), "the report directory", 0o755)
	if err != nil {
		return refuse(err)
	}
	unlockAll := unlock
	if r.Lock != "" {
		unlockLab, err := Lock(r.Lock, "the lab", 0o700)
		if err != nil {
			unlock()
			return nil, &UsageError{err}
		}
		unlockAll = func() {
			unlockLab()
			_ = os.Remove(filepath.Dir(r.Lock)) // which is empty if there is no lab
			unlock()
		}
	}
	if err := cleanReports(dir); err != nil {
		unlockAll()
		return refuse(err)
	}
	return func() {
		unlockAll()
		_ = os.Remove(dir) // of a run that was refused it is empty
	}, nil
}

// foreign returns an error if dir has something that a run would remove or
// overwrite, and no report of this program. Other files stay as they are.
func foreign(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, reportFile))
	if err == nil && bytes.HasPrefix(text, []byte("digest: sha256:")) {
		return nil
	}
	for _, name := range append(written(), labLogs) {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return fmt.Errorf("it has %s and no report of this program, so nothing in it is removed; give another directory", name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (r *Runner) write(ended time.Time) (report.Document, error) {
	files, hashErr := report.HashEvidence(r.Config.ReportDir)
	doc := r.recorder.Finish(ended, files)
	if hashErr != nil {
		return doc, hashErr
	}
	return doc, writeDocument(r.Config.ReportDir, doc)
}

// writeDocument writes every form of doc.
func writeDocument(dir string, doc report.Document) error {
	data, err := report.Encode(doc)
	if err != nil {
		return err
	}
	files, err := render.Files(doc)
	if err != nil {
		return err
	}
	files[reportFile] = data
	return report.WriteFiles(dir, files)
}
