package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/oneline"
)

// makeDisk writes the disk with the release, the images and the deployments.
func (t *trial) makeDisk(ctx context.Context) error {
	root := filepath.Join(t.Dir, "root")
	if err := os.CopyFS(filepath.Join(root, "release"), os.DirFS(t.Release)); err != nil {
		return fmt.Errorf("files of the release: %w", err)
	}
	images := filepath.Join(root, "images")
	if err := os.Mkdir(images, 0o755); err != nil {
		return err
	}
	for i, path := range t.Parts.Images {
		if err := copyFile(filepath.Join(images, fmt.Sprintf("%d.tar", i)), path); err != nil {
			return err
		}
	}
	if t.Files != "" {
		if err := os.CopyFS(filepath.Join(root, "files"), os.DirFS(t.Files)); err != nil {
			return fmt.Errorf("files of the deployments: %w", err)
		}
	}
	size, err := sizeOf(root)
	if err != nil {
		return err
	}
	// ext4 needs a part for itself.
	mib := size>>20 + size>>23 + 64
	out, err := exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-d", root, t.dataDisk(), fmt.Sprintf("%dM", mib)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mke2fs: %w: %s", err, oneline.Of(string(out)))
	}
	return os.RemoveAll(root)
}

func copyFile(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func sizeOf(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

// output runs a line in the machine and returns what it prints.
func (t *trial) output(ctx context.Context, line string) (string, error) {
	var out, complaint bytes.Buffer
	code, err := t.guest.Shell(ctx, nodeshell.Session{Args: []string{line}, Stdout: &out, Stderr: &complaint})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, oneline.Of(complaint.String()+out.String()))
	}
	return out.String(), err
}

// pidFile has the process id of the run.
const pidFile = "/run/trial.pid"

// line is what runs the suite in the machine.
func (t *trial) line() string {
	settings := []string{
		"PROVIDER=kind", "KIND_PMEM=" + Region, "KIND_NODE_IMAGE=" + t.Parts.NodeImage, "KIND_IMAGES=" + media + "/images", "REPORT_DIR=" + reportDir,
	}
	for variable, path := range t.Deployments {
		settings = append(settings, variable+"="+filepath.Join(media, "files", path))
	}
	words := []string{"echo $$ >" + pidFile + "; exec env"}
	for _, setting := range slices.Concat(settings, t.Settings) {
		words = append(words, "'"+strings.ReplaceAll(setting, "'", `'\''`)+"'")
	}
	return strings.Join(append(words, media+"/release/e2e run"), " ")
}

// runSuite runs the suite and passes on what it prints.
func (t *trial) runSuite(ctx context.Context) error {
	log, err := os.Create(filepath.Join(t.Dir, "run.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	seen := make(chan struct{})
	out := &stamped{start: time.Now(), to: io.MultiWriter(t.Progress, log), mark: t.Interrupt, seen: func() { close(seen) }}
	done := make(chan struct{})
	var interrupted error
	var interrupting sync.WaitGroup
	interrupting.Go(func() {
		select {
		case <-seen:
			t.found.Interrupted = true
			fmt.Fprintf(out, "kind-test sends SIGINT\n")
			_, interrupted = t.output(ctx, "kill -INT $(cat "+pidFile+")")
		case <-done:
		}
	})
	t.found.ExitCode, err = t.guest.Shell(ctx, nodeshell.Session{Args: []string{t.line()}, Stdout: out, Stderr: out})
	close(done)
	interrupting.Wait()
	out.flush()
	if err == nil && t.Interrupt != "" && !t.found.Interrupted {
		err = fmt.Errorf("no line of the run had %q, so it was not interrupted", t.Interrupt)
	}
	return errors.Join(err, interrupted)
}

// copyReport replaces the report of an earlier trial.
func (t *trial) copyReport(ctx context.Context) error {
	if err := os.RemoveAll(t.Report); err != nil {
		return err
	}
	if err := os.MkdirAll(t.Report, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(t.Report, "run.log"), filepath.Join(t.Dir, "run.log")); err != nil {
		return err
	}
	unpack := exec.CommandContext(ctx, "tar", "-C", t.Report, "--no-same-owner", "-xf", "-")
	in, err := unpack.StdinPipe()
	if err != nil {
		return err
	}
	var complaint bytes.Buffer
	unpack.Stderr = &complaint
	if err := unpack.Start(); err != nil {
		return err
	}
	// A run that ended early has written none.
	code, err := t.guest.Shell(ctx, nodeshell.Session{Args: []string{"mkdir -p " + reportDir + " && tar -C " + reportDir + " -cf - ."}, Stdout: in, Stderr: io.Discard})
	err = errors.Join(err, in.Close(), unpack.Wait())
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	if err != nil {
		return fmt.Errorf("copy the report: %w: %s", err, oneline.Of(complaint.String()))
	}
	return nil
}

// stamped puts the time since the start in front of each line, and says once when a line has the mark.
type stamped struct {
	start time.Time
	to    io.Writer
	mark  string
	seen  func()

	mu   sync.Mutex
	rest []byte
}

func (s *stamped) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for {
		i := bytes.IndexByte(s.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := s.rest[:i]
		s.rest = s.rest[i+1:]
		if err := s.line(line); err != nil {
			return 0, err
		}
	}
}

func (s *stamped) line(line []byte) error {
	_, err := fmt.Fprintf(s.to, "%7.1fs %s\n", time.Since(s.start).Seconds(), bytes.TrimRight(line, "\r"))
	if s.mark != "" && s.seen != nil && bytes.Contains(line, []byte(s.mark)) {
		s.seen()
		s.seen = nil
	}
	return err
}

// flush writes a last line that has no end.
func (s *stamped) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rest) > 0 {
		_ = s.line(s.rest)
		s.rest = nil
	}
}
