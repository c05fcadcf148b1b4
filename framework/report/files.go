package report

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// evidenceDir is where a report keeps its evidence, next to its file.
const evidenceDir = "evidence"

// HashEvidence lists every file below the evidence directory of a report, by
// path. There need not be one. Whatever is neither a regular file nor a
// directory is an error.
func HashEvidence(reportDir string) ([]File, error) {
	root := filepath.Join(reportDir, evidenceDir)
	if _, err := os.Lstat(root); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var files []File
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file; remove it", path)
		}
		f, err := hashFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(reportDir, path)
		f.Path = filepath.ToSlash(rel)
		files = append(files, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hash the evidence: %w", err)
	}
	return files, nil
}

func hashFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	return File{Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// WriteFiles writes files into dir, which it makes if need be, each of them as
// a whole or not at all. It ends at the first error, which names the file.
func WriteFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the report: %w", err)
	}
	for _, name := range sortedKeys(files) {
		if err := writeFile(filepath.Join(dir, name), files[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
