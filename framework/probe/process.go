package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Process is one in a container.
type Process struct {
	PID  int // in the container's PID namespace
	UID  int
	Args []string
}

// findByName prints id and owner of each process whose name is the first argument, in one line, and the arguments of the
// last of them, each with a NUL at its end. A process may end meanwhile. Where the containers of a pod share their processes,
// those of other containers are in other control groups and count only if there are none in the container's own.
const findByName = `found= last= foreign= other=
own=$(cat /proc/self/cgroup 2>/dev/null)
for d in /proc/[0-9]*; do
	if read -r name 2>/dev/null <"$d/comm" && [ "$name" = "$1" ] && uid=$(stat -c %u "$d" 2>/dev/null); then
		if [ "$(cat "$d/cgroup" 2>/dev/null)" = "$own" ]; then
			last=$d found="$found ${d#/proc/} $uid"
		else
			other=$d foreign="$foreign ${d#/proc/} $uid"
		fi
	fi
done
[ -n "$found" ] || found=$foreign last=$other
echo "$found"
[ -z "$last" ] || cat "$last/cmdline"`

// FindProcess returns the only process in the container with the given name, as in /proc/PID/comm.
func FindProcess(ctx context.Context, e Execer, namespace, pod, container, name string) (Process, error) {
	fail := func(err error) (Process, error) {
		return Process{}, fmt.Errorf("process %s in container %s of pod %s/%s: %w", name, container, namespace, pod, err)
	}
	text, err := Output(ctx, e, namespace, pod, container, "sh", "-c", findByName, "sh", name)
	if err != nil {
		return fail(err)
	}
	found, args, _ := strings.Cut(text, "\n")
	numbers := strings.Fields(found)
	if len(numbers) != 2 {
		return fail(fmt.Errorf("%d processes have this name, want 1", len(numbers)/2))
	}
	p := Process{Args: strings.Split(strings.TrimSuffix(args, "\x00"), "\x00")}
	var errs [2]error
	p.PID, errs[0] = strconv.Atoi(numbers[0])
	p.UID, errs[1] = strconv.Atoi(numbers[1])
	if err := errors.Join(errs[:]...); err != nil {
		return fail(err)
	}
	return p, nil
}

// MemoryFile returns the path that memcached was given by -e or --memory-file.
func (p Process) MemoryFile() (path string, ok bool) {
	for i, arg := range p.Args {
		if value, found := strings.CutPrefix(arg, "--memory-file="); found {
			return value, true
		}
		if (arg == "--memory-file" || arg == "-e") && i+1 < len(p.Args) {
			return p.Args[i+1], true
		}
		if value, found := strings.CutPrefix(arg, "-e"); found && value != "" {
			return value, true
		}
	}
	return "", false
}

// firstOf prints the arguments of the process of the container from which the one with the number $1 descends, each with a NUL
// at its end. The processes that a container was started with have no parent in it.
const firstOf = `pid=$1
while parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status") && [ "$parent" -gt 0 ]; do
	pid=$parent
done
cat "/proc/$pid/cmdline"`

// FirstArgs returns the command with which the container was started that has a process.
func FirstArgs(ctx context.Context, e Execer, namespace, pod, container string, pid int) ([]string, error) {
	text, err := Output(ctx, e, namespace, pod, container, "sh", "-c", firstOf, "sh", strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, fmt.Errorf("the first process of container %s of pod %s/%s shows no arguments", container, namespace, pod)
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00"), nil
}
