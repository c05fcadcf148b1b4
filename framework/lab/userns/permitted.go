package userns

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"strings"
)

// mapping are the arguments of newuidmap and newgidmap: the first id in the
// namespace, the first outside, and how many.
type mapping struct{ uids, gids []string }

// highest is the last id that Debian gives: nobody's.
const highest = 65534

// permitted returns the ids of a namespace of the user's, as what is below
// root says, or why there can be none.
func permitted(root fs.FS, lookPath func(string) (string, error), me *user.User) (m mapping, err error) {
	for _, s := range []struct{ path, name, remedy string }{
		{"proc/sys/user/max_user_namespaces", "user.max_user_namespaces", "sysctl -w user.max_user_namespaces=15000"},
		{"proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", "sysctl -w kernel.unprivileged_userns_clone=1"},
	} {
		if setting(root, s.path) == "0" {
			return m, fmt.Errorf("the kernel allows none: %s=0; have root call %s", s.name, s.remedy)
		}
	}
	for _, helper := range []struct{ name, from string }{{"newuidmap", "uidmap"}, {"newgidmap", "uidmap"}, {"nsenter", "util-linux"}, {"unshare", "util-linux"}} {
		if _, err := lookPath(helper.name); err != nil {
			return m, fmt.Errorf("%w: it is in the package %s, which make packages installs or names the command for", err, helper.from)
		}
	}
	if m.uids, err = ranges(root, "subuid", me.Uid, me); err != nil {
		return m, err
	}
	m.gids, err = ranges(root, "subgid", me.Gid, me)
	return m, err
}

// setting returns what a file of the kernel's says, and "" if it has none.
func setting(root fs.FS, path string) string {
	text, _ := fs.ReadFile(root, path)
	return strings.TrimSpace(string(text))
}

// appArmor describes, as the end of an error, a setting that may be its reason.
func appArmor(root fs.FS) string {
	if setting(root, "proc/sys/kernel/apparmor_restrict_unprivileged_userns") != "1" {
		return ""
	}
	return "; AppArmor restricts them: kernel.apparmor_restrict_unprivileged_userns=1; have root call sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give this program and nsenter a profile with the permission userns"
}

// ranges maps 0 to the user's own id, and the ids from 1 on to those that
// /etc/subuid or /etc/subgid gives the user, in its order (subuid(5)).
func ranges(root fs.FS, file, own string, me *user.User) ([]string, error) {
	path := "/etc/" + file
	remedy := fmt.Sprintf("have root call usermod --add-%ss FIRST-LAST %s with %d ids that nobody else has, such as 100000-%d", file, me.Username, highest+2, 100000+highest+1)
	text, err := fs.ReadFile(root, "etc/"+file)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, remedy)
	}
	args := []string{"0", own, "1"}
	next := 1
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if fields[0] != me.Username && fields[0] != me.Uid {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: %q: want USER:FIRST:COUNT", path, strings.TrimSpace(line))
		}
		_, err := strconv.ParseUint(fields[1], 10, 32)
		count, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("%s: %q: want USER:FIRST:COUNT", path, strings.TrimSpace(line))
		}
		if count > 0 {
			args = append(args, strconv.Itoa(next), fields[1], fields[2])
			next += int(count)
		}
	}
	if next <= highest {
		return nil, fmt.Errorf("%s gives user %s %d ids, and %d are needed; %s", path, me.Username, next-1, highest, remedy)
	}
	return args, nil
}
