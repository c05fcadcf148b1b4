package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/mod/semver"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/oneline"
)

// module is what go list -m -versions -json prints ("go help list").
type module struct {
	Version  string
	Versions []string
	Error    *struct{ Err string }
}

func askGo(ctx context.Context, root string, pin artifact.Pin) Release {
	r := Release{Program: pin.Program, From: "module " + pin.Module}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-e", "-versions", "-json", pin.Module)
	cmd.Dir = filepath.Join(root, "hack", pin.Dir)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.Err = fmt.Errorf("go list in hack/%s: %w", pin.Dir, lastWords(err, oneline.Words(stderr.String())))
		return r
	}
	var m module
	if err := json.Unmarshal(out, &m); err != nil {
		r.Err = fmt.Errorf("what go list says of %s: %w", pin.Module, err)
		return r
	}
	r.Pinned = m.Version
	if m.Error != nil {
		r.Err = errors.New(oneline.Words(m.Error.Err))
		return r
	}
	r.Patch, r.Newest = newest(m.Versions, m.Version)
	if r.Newest == "" {
		r.Err = errors.New("the source lists no release")
	}
	return r
}

// newest returns the newest release with the major and minor version of
// pinned, and the newest of all. Releases to come are none.
func newest(versions []string, pinned string) (patch, all string) {
	for _, v := range versions {
		if semver.Prerelease(v) != "" {
			continue
		}
		if all == "" || semver.Compare(v, all) > 0 {
			all = v
		}
		if semver.MajorMinor(v) == semver.MajorMinor(pinned) && (patch == "" || semver.Compare(v, patch) > 0) {
			patch = v
		}
	}
	return patch, all
}
