package config

import (
	"path/filepath"
	"strconv"
	"strings"
)

// Command is the command that does the run again, or with a focus runs the
// specs focused on in the same way. It says everything that is not as by
// default, wherever it came from, except for where the report goes and what
// becomes of the lab.
func (c Config) Command(focus string) string {
	std := Default(c.Dir)
	words := []string{"make", "e2e"}
	if c.Bench {
		words = []string{"make", "bench"}
	}
	add := func(name, value, unless string) {
		if value != unless {
			words = append(words, name+"="+quote(value))
		}
	}
	path := func(name, value, unless string) {
		if value == unless {
			return
		}
		if rel, err := filepath.Rel(c.Dir, value); err == nil && filepath.IsLocal(rel) {
			value = rel
		}
		add(name, value, "")
	}
	if focus != "" {
		add("FOCUS", focus, "")
	} else {
		add("LABELS", c.Select.Labels, "")
		add("FOCUS", c.Select.Focus, "")
		add("SEED", strconv.FormatInt(c.Select.Seed, 10), "0")
		add("QUALIFICATION", number(c.Qualification), "0") // which admits no focus
	}
	if c.Cluster.Provider == Existing {
		path("KUBECONFIG", c.Cluster.Kubeconfig, "")
		add("KUBE_CONTEXT", c.Cluster.Context, "")
		add("MEMCACHED_IMAGE", c.Deploy.MemcachedImage, "")
		add("OTHER_MEMCACHED_IMAGE", c.Deploy.OtherImage, "")
	} else {
		add("LAB_KUBERNETES", c.Cluster.LabKubernetes, "")
		add("LAB_MEMCACHED", c.Cluster.LabMemcached, "")
		add("LAB_KERNEL", c.Cluster.LabKernel, "")
		add("LAB_DRIVER", c.Cluster.LabDriver, "")
	}
	path("EPHEMERAL", c.Deploy.Ephemeral, std.Deploy.Ephemeral)
	path("PERSISTENT", c.Deploy.Persistent, std.Deploy.Persistent)
	path("KNOWN_FAILURES", c.KnownFailures, "")
	if c.Bench || focus == "" {
		path("BASELINE", c.Baseline, "") // which admits no focus without BENCH
	}
	add("RETRIES", strconv.Itoa(c.Retries), "0")
	add("SKIP_PREFLIGHT", strings.Join(c.SkipPreflight, ","), "")
	if c.Exclusive != nil {
		add("EXCLUSIVE", number(*c.Exclusive), "")
	}
	if c.Disruptive != nil {
		add("DISRUPTIVE", number(*c.Disruptive), "")
	}
	add("WAIT_SCALE", c.WaitScale.String(), std.WaitScale.String())
	add("BENCH_DURATION", c.Sampling.Duration.String(), std.Sampling.Duration.String())
	add("BENCH_PAIRS", strconv.Itoa(c.Sampling.Pairs), strconv.Itoa(std.Sampling.Pairs))
	add("BENCH_CLIENTS", strconv.Itoa(c.Sampling.Clients), strconv.Itoa(std.Sampling.Clients))
	add("BENCH_PLACEMENT", c.Sampling.Place, std.Sampling.Place)
	return strings.Join(words, " ")
}

func number(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

// plain are the characters that neither a shell nor make gives a meaning to.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-"

// quote makes value one word of a shell's command line, of which make takes it
// as the value of a variable.
func quote(value string) string {
	if strings.Trim(value, plain) == "" {
		return value
	}
	value = strings.ReplaceAll(value, "$", "$$")
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
