package artifact

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeTree makes what parts consist of: files, directories, links.
func writeTree(_ context.Context, dir string, _ io.Writer) error {
	return errors.Join(
		os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755),
		os.WriteFile(filepath.Join(dir, "usr/bin/tool"), []byte("program"), 0o755),
		os.WriteFile(filepath.Join(dir, `a "name" with blanks`), nil, 0o600),
		os.Symlink("usr/bin", filepath.Join(dir, "bin")),
	)
}

func TestVerify(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(dir string) error
		want   []string
	}{
		{"whole", func(string) error { return nil }, nil},
		{"truncated", func(dir string) error { return os.Truncate(filepath.Join(dir, "usr/bin/tool"), 3) }, []string{`"usr/bin/tool" has changed`}},
		{"a byte is another", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "usr/bin/tool"), []byte("Program"), 0o755)
		}, []string{`"usr/bin/tool" has changed`}},
		{"another mode", func(dir string) error { return os.Chmod(filepath.Join(dir, "usr/bin/tool"), 0o777) }, []string{`"usr/bin/tool" has changed`}},
		{"a file is missing", func(dir string) error { return os.Remove(filepath.Join(dir, `a "name" with blanks`)) },
			[]string{`"a \"name\" with blanks" is missing`}},
		{"a link in place of a file", func(dir string) error {
			path := filepath.Join(dir, "usr/bin/tool")
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		}, []string{`"usr/bin/tool" has changed`, `"usr/bin/tool.real" was added`}},
		{"a link elsewhere", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "bin")), os.Symlink("/tmp", filepath.Join(dir, "bin")))
		}, []string{`"bin" has changed`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t)
			dir, err := s.Get(t.Context(), numbered(1, writeTree))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(dir); err != nil {
				t.Fatal(err)
			}
			e, err := entryAt(dir)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Verify(e)
			var found []string
			if damaged, ok := errors.AsType[*DamageError](err); ok {
				found = damaged.Found
			} else if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(found, tt.want) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}

func TestVerifyWithoutDigests(t *testing.T) {
	s := openStore(t)
	dir, err := s.Get(t.Context(), numbered(1, writeTree))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + sumsSuffix); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(Entry{Name: "thing", Path: dir}); !errors.Is(err, ErrNoSums) {
		t.Errorf("err = %v, want ErrNoSums", err)
	}
}

// What a link leads to is not what the store has made.
func TestALinkIsNoArtifact(t *testing.T) {
	s := openStore(t)
	a := numbered(1, writeTree)
	dir, err := s.Get(t.Context(), a)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := errors.Join(os.Rename(dir, elsewhere), os.Symlink(elsewhere, dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), a); !errors.Is(err, ErrCache) || !strings.Contains(err.Error(), dir) {
		t.Errorf("err = %v, want a refusal that names %s", err, dir)
	}
	entries, err := s.List()
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries = %v, %v; want the link", entries, err)
	}
	if _, damaged := errors.AsType[*DamageError](s.Verify(entries[0])); !damaged {
		t.Error("it is verified")
	}
	if err := s.Remove(entries[0], allow); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "usr/bin/tool")); err != nil {
		t.Errorf("what the link led to: %v", err)
	}
	if _, err := s.Get(t.Context(), a); err != nil {
		t.Errorf("after it was removed: %v", err)
	}
}
