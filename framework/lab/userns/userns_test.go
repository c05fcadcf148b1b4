package userns

import (
	"errors"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// host is one that allows namespaces, with changes.
func host(changes map[string]string) fstest.MapFS {
	files := map[string]string{
		"proc/sys/user/max_user_namespaces": "96365\n",
		"etc/subuid":                        "other:100000:65536\nalice:165536:65536\n",
		"etc/subgid":                        "other:100000:65536\nalice:165536:65536\n",
	}
	for path, text := range changes {
		files[path] = text
	}
	m := fstest.MapFS{}
	for path, text := range files {
		if text != "absent" {
			m[path] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return m
}

func TestPermitted(t *testing.T) {
	alice := &user.User{Uid: "1001", Gid: "2002", Username: "alice"}
	for _, c := range []struct {
		name    string
		changes map[string]string
		lacks   string
		want    []string // of the error
		uids    string
	}{
		{name: "by name", uids: "0 1001 1 1 165536 65536"},
		{name: "by id", changes: map[string]string{"etc/subuid": "1001:5000:65534\n"}, uids: "0 1001 1 1 5000 65534"},
		{name: "in pieces", changes: map[string]string{"etc/subuid": "alice:5000:1000\nbob:1:1\nalice:90000:65000"}, uids: "0 1001 1 1 5000 1000 1001 90000 65000"},
		{name: "clone allowed", changes: map[string]string{"proc/sys/kernel/unprivileged_userns_clone": "1\n"}, uids: "0 1001 1 1 165536 65536"},
		{name: "none allowed", changes: map[string]string{"proc/sys/user/max_user_namespaces": "0\n"}, want: []string{"user.max_user_namespaces=0", "sysctl -w user.max_user_namespaces="}},
		{name: "Debian's setting", changes: map[string]string{"proc/sys/kernel/unprivileged_userns_clone": "0\n"}, want: []string{"kernel.unprivileged_userns_clone=0", "sysctl -w kernel.unprivileged_userns_clone=1"}},
		{name: "no newuidmap", lacks: "newuidmap", want: []string{"newuidmap", "package uidmap", "make packages"}},
		{name: "no newgidmap", lacks: "newgidmap", want: []string{"newgidmap", "package uidmap"}},
		{name: "no nsenter", lacks: "nsenter", want: []string{"nsenter", "package util-linux"}},
		{name: "no file", changes: map[string]string{"etc/subuid": "absent"}, want: []string{"etc/subuid", "usermod --add-subuids", "alice"}},
		{name: "no line", changes: map[string]string{"etc/subgid": "other:100000:65536\n"}, want: []string{"/etc/subgid", "alice 0 ids", "usermod --add-subgids"}},
		{name: "few", changes: map[string]string{"etc/subuid": "alice:100000:1000\n"}, want: []string{"/etc/subuid", "alice 1000 ids", "65534 are needed", "usermod --add-subuids"}},
		{name: "garbled", changes: map[string]string{"etc/subuid": "alice:many:1000\n"}, want: []string{"/etc/subuid", `"alice:many:1000"`, "USER:FIRST:COUNT"}},
		{name: "cut off", changes: map[string]string{"etc/subuid": "alice:1000\n"}, want: []string{"/etc/subuid", `"alice:1000"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lookPath := func(name string) (string, error) {
				if name == c.lacks {
					return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
				}
				return "/usr/bin/" + name, nil
			}
			m, err := permitted(host(c.changes), lookPath, alice)
			if (err == nil) != (c.want == nil) {
				t.Fatalf("err = %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("err = %v, want it to have %q", err, w)
				}
			}
			if c.want != nil {
				return
			}
			if got := strings.Join(m.uids, " "); got != c.uids {
				t.Errorf("uids %q, want %q", got, c.uids)
			}
			if want := []string{"0", "2002", "1", "1", "165536", "65536"}; !slices.Equal(m.gids, want) {
				t.Errorf("gids %q, want %q", m.gids, want)
			}
		})
	}
}

func TestAppArmor(t *testing.T) {
	const setting = "kernel.apparmor_restrict_unprivileged_userns"
	for text, want := range map[string]bool{"absent": false, "0\n": false, "1\n": true} {
		got := appArmor(host(map[string]string{"proc/sys/kernel/apparmor_restrict_unprivileged_userns": text}))
		if strings.Contains(got, setting+"=1") != want || strings.Contains(got, "sysctl -w "+setting+"=0") != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestArrive(t *testing.T) {
	if err := Arrive(); err != nil {
		t.Errorf("without a namespace: %v", err)
	}
	t.Setenv(descriptorVariable, "three")
	if err := Arrive(); err == nil || !strings.Contains(err.Error(), descriptorVariable+`="three"`) {
		t.Errorf("err = %v, want one that names the variable", err)
	}
}

func TestJoinEnded(t *testing.T) {
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	if err := Join(ended.Process.Pid); !errors.Is(err, ErrEnded) {
		t.Errorf("err = %v, want %v", err, ErrEnded)
	}
}
