package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestMakeDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "above", "own")
	if err := MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := MakeDir(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("what somebody else may have made is taken: %v", err)
	}
}

func TestFilesAreTheirOwnersAlone(t *testing.T) {
	for name, write := range map[string]func(string, []byte) error{"written": WriteFile, "replaced": ReplaceFile, "appended": AppendFile} {
		path := filepath.Join(t.TempDir(), "above", name)
		if err := write(path, []byte("secret")); err != nil {
			t.Fatal(err)
		}
		for _, of := range []string{path, filepath.Dir(path)} {
			if info, err := os.Stat(of); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v, want a mode without permissions for others", of, info.Mode(), err)
			}
		}
	}
}
