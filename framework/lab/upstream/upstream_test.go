package upstream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/artifact"
)

func TestNewest(t *testing.T) {
	versions := []string{"v1.36.1", "v1.36.3", "v1.36.10", "v1.37.2", "v1.38.0-rc.1"}
	for _, tt := range []struct{ pinned, patch, all string }{
		{"v1.36.3", "v1.36.10", "v1.37.2"},
		{"v1.37.2", "v1.37.2", "v1.37.2"},
		{"v1.35.0", "", "v1.37.2"},
	} {
		if patch, all := newest(versions, tt.pinned); patch != tt.patch || all != tt.all {
			t.Errorf("newest for %s: %q, %q; want %q, %q", tt.pinned, patch, all, tt.patch, tt.all)
		}
	}
	if patch, all := newest(nil, "v1.0.0"); patch != "" || all != "" {
		t.Errorf("newest of none: %q, %q", patch, all)
	}
}

func TestWouldInstall(t *testing.T) {
	const said = `Inst libevent-2.1-7t64 (2.1.12-stable-10+b1 Debian:13.1/stable [amd64])
Inst memcached-tools (9 Debian:13.1/stable [all])
Inst memcached (1.6.38-1 Debian:13.1/stable [amd64])
Inst upgraded [1.0-1] (1.1-2+deb13u1 Debian:13.1/stable [amd64])
Inst epoch (2:4.5~rc1-3-1 Debian:13.1/stable [amd64])
Inst native (12 Debian:13.1/stable [all])
Conf memcached (1.6.38-1 Debian:13.1/stable [amd64])
`
	for pkg, want := range map[string]string{"memcached": "1.6.38", "upgraded": "1.1", "epoch": "4.5~rc1-3", "native": "12", "missing": "", "tools": ""} {
		if got := wouldInstall(said, pkg); got != want {
			t.Errorf("%s: %q, want %q", pkg, got, want)
		}
	}
}

func TestFirstError(t *testing.T) {
	said := "I: running apt-get update...\nE: The list is expired.\nE: apt-get update failed\n"
	if got := firstError(said); got != "The list is expired." {
		t.Errorf("got %q", got)
	}
	if got := firstError("I: fine\n"); got != "" {
		t.Errorf("got %q of what went well", got)
	}
}

// checkout makes a checkout whose module hack/thing pins v1.0.0 of a module of
// which proxy has two releases and one to come.
func checkout(t *testing.T) (root, proxy string) {
	t.Helper()
	root, proxy = t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(root, "hack/thing/go.mod"):                  "module thing\n\ngo 1.26.0\n\nrequire example.org/pinned v1.0.0\n",
		filepath.Join(proxy, "example.org/pinned/@v/list"):        "v1.0.0\nv1.0.1\nv1.2.0\nv2.0.0-beta.1\n",
		filepath.Join(proxy, "example.org/pinned/@v/v1.0.0.info"): `{"Version":"v1.0.0"}`,
		filepath.Join(proxy, "example.org/pinned/@v/v1.0.0.mod"):  "module example.org/pinned\n",
		// The newest one may retract others.
		filepath.Join(proxy, "example.org/pinned/@v/v1.2.0.info"): `{"Version":"v1.2.0"}`,
		filepath.Join(proxy, "example.org/pinned/@v/v1.2.0.mod"):  "module example.org/pinned\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GONOSUMDB", "*")
	t.Setenv("GOMODCACHE", t.TempDir())
	return root, proxy
}

func TestAskGo(t *testing.T) {
	root, proxy := checkout(t)
	t.Setenv("GOPROXY", "file://"+proxy)
	pin := artifact.Pin{Program: "Thing", Dir: "thing", Module: "example.org/pinned"}
	if got, want := askGo(t.Context(), root, pin), (Release{Program: "Thing", From: "module example.org/pinned", Pinned: "v1.0.0", Patch: "v1.0.1", Newest: "v1.2.0"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// What is pinned is known without the network, too.
	t.Setenv("GOPROXY", "file://"+filepath.Join(proxy, "gone"))
	if got := askGo(t.Context(), root, pin); got.Pinned != "v1.0.0" || got.Newest != "" || got.Err == nil {
		t.Errorf("without a proxy: %+v; want what is pinned and an error", got)
	}
	if got := askGo(t.Context(), root, artifact.Pin{Dir: "nothing", Module: "example.org/pinned"}); got.Err == nil || !strings.Contains(got.Err.Error(), "hack/nothing") {
		t.Errorf("without a module: %+v; want an error that names hack/nothing", got)
	}
}
