package run

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render"
)

// Names below the report directory; render.Files has those of the other forms.
const (
	reportFile  = "report.yaml"
	summaryFile = "summary.md"
	suiteLog    = "suite.log"
	evidence    = "evidence"
)

func (r *Runner) path(name string) string { return filepath.Join(r.Config.ReportDir, name) }

func (r *Runner) relative(path string) string {
	if rel, err := filepath.Rel(r.Root, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// cleanReports removes what an earlier run left, so that it is never taken for
// this run's, and makes the directory.
func cleanReports(dir string) error {
	for _, name := range append(render.Names(), reportFile, suiteLog, evidence) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove the earlier report: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the report directory: %w", err)
	}
	return nil
}

// discard removes the report of a run that was refused after all.
func (r *Runner) discard() {
	if r.recorder != nil {
		_ = cleanReports(r.Config.ReportDir)
	}
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
