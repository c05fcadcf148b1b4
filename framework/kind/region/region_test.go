package region

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// a machine with one region, as far as the commands show it.
type machine struct {
	mode, content string // of the namespace; mode empty: there is none
	groups        []string
	fail          string // command that fails
	done          []string
}

func (m *machine) run(_ context.Context, args ...string) (string, error) {
	line := strings.Join(args, " ")
	if m.fail != "" && strings.HasPrefix(line, m.fail) {
		return "", errors.New("exit status 1")
	}
	switch args[0] + " " + args[1] {
	case "ndctl list":
		namespace := ""
		if m.mode != "" {
			namespace = fmt.Sprintf(`{"dev":"namespace0.0","mode":%q,"blockdev":"pmem0"}`, m.mode)
		}
		return fmt.Sprintf(`[{"provider":"e820","dev":"ndbus0","regions":[{"dev":"region0","size":2147483648,"namespaces":[%s]}]}]`, namespace), nil
	case "wipefs --no-act":
		return m.content, nil
	case "vgs --noheadings":
		return "  " + strings.Join(m.groups, "\n  ") + "\n", nil
	case "ndctl create-namespace":
		m.mode = args[slices.Index(args, "--mode")+1]
	case "ndctl destroy-namespace":
		m.mode = ""
	case "vgcreate --force":
		m.groups = append(m.groups, "ndbus0region0fsdax")
	case "vgremove --force":
		m.groups = slices.DeleteFunc(m.groups, func(g string) bool { return g == args[3] })
	case "wipefs --all":
	default:
		return "", fmt.Errorf("unexpected command %s", line)
	}
	m.done = append(m.done, line)
	return "", nil
}

func TestTakeAndGiveBack(t *testing.T) {
	const (
		group   = "vgcreate --force --yes ndbus0region0fsdax /dev/pmem0"
		remove  = "vgremove --force --yes ndbus0region0fsdax"
		wipe    = "wipefs --all /dev/pmem0"
		convert = "ndctl create-namespace --force --mode fsdax --bus ndbus0 --region region0"
	)
	for _, tt := range []struct {
		mode string
		want []string
	}{
		{"raw", []string{convert + " --reconfig namespace0.0", group, remove, wipe,
			"ndctl create-namespace --force --mode raw --bus ndbus0 --region region0 --reconfig namespace0.0"}},
		{"fsdax", []string{group, remove, wipe}},
		{"", []string{convert, group, remove, wipe, "ndctl destroy-namespace --force namespace0.0"}},
	} {
		t.Run("mode "+tt.mode, func(t *testing.T) {
			m := &machine{mode: tt.mode, groups: []string{"others"}}
			s, err := Find(t.Context(), m.run, "region0")
			if err != nil {
				t.Fatal(err)
			}
			var saved State
			if s, err = Take(t.Context(), m.run, s, func(s State) error { saved = s; return nil }); err != nil {
				t.Fatal(err)
			}
			if saved != s {
				t.Errorf("saved %+v, want %+v", saved, s)
			}
			if err := GiveBack(t.Context(), m.run, saved); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.done, tt.want) {
				t.Errorf("commands\n%s\nwant\n%s", strings.Join(m.done, "\n"), strings.Join(tt.want, "\n"))
			}
			if m.mode != tt.mode || !slices.Equal(m.groups, []string{"others"}) {
				t.Errorf("mode %q, groups %q, want all as before", m.mode, m.groups)
			}
		})
	}
}

// What is saved is enough to give the region back wherever taking it ends.
func TestInterrupted(t *testing.T) {
	for _, fail := range []string{"ndctl create-namespace", "vgcreate"} {
		m := &machine{mode: "raw", fail: fail}
		s, err := Find(t.Context(), m.run, "region0")
		if err != nil {
			t.Fatal(err)
		}
		var saved State
		if _, err := Take(t.Context(), m.run, s, func(s State) error { saved = s; return nil }); err == nil {
			t.Fatalf("%s failed, and no error", fail)
		}
		m.fail = ""
		if err := GiveBack(t.Context(), m.run, saved); err != nil || m.mode != "raw" || len(m.groups) > 0 {
			t.Errorf("%s failed: %v, mode %s, groups %q; want all as before", fail, err, m.mode, m.groups)
		}
		if err := GiveBack(t.Context(), m.run, saved); err != nil {
			t.Errorf("a second time: %v", err)
		}
	}
	if err := GiveBack(t.Context(), nil, State{}); err != nil {
		t.Errorf("nothing was taken: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	for _, tt := range []struct{ mode, content, want string }{
		{"raw", "ext4\n", "content of the type ext4"},
		{"fsdax", "LVM2_member\n", "wipefs --all /dev/pmem0"},
		{"devdax", "", "mode devdax"},
	} {
		m := &machine{mode: tt.mode, content: tt.content}
		s, err := Find(t.Context(), m.run, "region0")
		if err != nil {
			t.Fatal(err)
		}
		_, err = Take(t.Context(), m.run, s, func(State) error { return errors.New("saved what was not taken") })
		if _, used := errors.AsType[*UsedError](err); !used || !strings.Contains(err.Error(), tt.want) || len(m.done) > 0 {
			t.Errorf("%s with %q: %v, commands %q; want %q and none", tt.mode, tt.content, err, m.done, tt.want)
		}
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no region"},
		{"others", `{"dev":"ndbus0","regions":[{"dev":"region1"}]}`, "no region"},
		{"several", `[{"dev":"ndbus0","regions":[{"dev":"region0","namespaces":[{"dev":"namespace0.0"},{"dev":"namespace0.1"}]}]}]`, "several namespaces"},
		{"no JSON", "[oops", "oops"},
	} {
		run := func(context.Context, ...string) (string, error) { return tt.text, nil }
		if s, err := Find(t.Context(), run, "region0"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v; want %q", tt.name, s, err, tt.want)
		}
	}
}

func TestByHand(t *testing.T) {
	s := State{Bus: "ndbus0", Region: "region0", Namespace: "namespace0.0", Mode: "raw", Device: "pmem0", Grouped: true}
	want := "sudo vgremove --force ndbus0region0fsdax && sudo wipefs --all /dev/pmem0 && sudo ndctl create-namespace --force --mode raw --reconfig namespace0.0"
	if got := s.ByHand(); got != want {
		t.Errorf("ByHand() = %s, want %s", got, want)
	}
}
