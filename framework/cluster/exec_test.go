package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

// TestNoProgram has what container runtimes and shells say about a program that is missing.
func TestNoProgram(t *testing.T) {
	for text, want := range map[string]bool{
		`error executing command in container: failed to exec in container: OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH`: true,
		"OCI runtime exec failed: exec failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no such file or directory":                                                        true,
		"executable file `sh` not found in $PATH: No such file or directory":                                                                                                                         true,
		"sh: 1: fallocate: not found":                                false,
		"stat: cannot statx '/data/file': No such file or directory": false,
		"websocket: close 1006 (abnormal closure): unexpected EOF":   false,
	} {
		err := lost(place{"n", "p", "memcached"}, []string{"sh", "-c", "true"}, errors.New(text))
		if got := strings.Contains(err.Error(), "its image has no program sh, by which"); got != want {
			t.Errorf("%s: %v", text, err)
		}
		if fault.Of(err) != fault.Infrastructure {
			t.Errorf("%s: it is the deployment's fault", text)
		}
		probes := 0
		ended := wait.Waiter{Interval: 1}.Until(t.Context(), wait.PodRuns, "a file", func(context.Context) (bool, string, error) {
			if probes++; probes > 1 {
				return true, "", nil
			}
			return false, "", err
		})
		var stopped *wait.StoppedError
		if got := errors.As(ended, &stopped); got != want || want && fault.Of(ended) != fault.Infrastructure {
			t.Errorf("%s: %d probes, %v", text, probes, ended)
		}
	}
}
