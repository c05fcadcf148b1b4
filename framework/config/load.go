package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/oneline"
)

// Flags adds a flag for each setting of the given groups, or of all groups if
// none is given, and for the file with settings.
func Flags(flags *pflag.FlagSet, of ...Group) {
	for _, s := range settings {
		if s.in(of) {
			f := flags.VarPF(&given{}, s.Flag, "", s.help())
			if s.value.bare {
				f.NoOptDefVal = "1"
			}
		}
	}
	flags.VarP(&given{}, fileFlag, "", fileUsage)
}

// given is the value of a flag, which is examined together with all others.
type given struct{ text string }

func (g *given) String() string        { return g.text }
func (g *given) Set(text string) error { g.text = text; return nil }
func (g *given) Type() string          { return "value" }

// Load makes the configuration from the defaults, the file that CONFIG or
// --config-file names, the environment and flags, to which [Flags] has added
// the settings that count; the later ones win. An empty variable counts as
// unset. Relative paths start at dir, those in the file at its directory. The
// error has all that was refused: each is a FieldError or a FileError.
func Load(flags *pflag.FlagSet, getenv func(string) string, dir string) (Config, error) {
	l := loader{config: Default(dir), base: base{dir, getenv("HOME")}, sources: map[string]source{}}
	l.file(flags, getenv(fileVariable))
	for _, s := range settings {
		// An exported KUBECONFIG is for all programs. It does not choose the cluster.
		if v := getenv(s.Variable); v != "" && flags.Lookup(s.Flag) != nil && s.Variable != kubeconfigVariable {
			l.set(s, s.Variable, v, environment)
		}
	}
	for _, s := range settings {
		if f := flags.Lookup(s.Flag); f != nil && f.Changed {
			l.set(s, "--"+s.Flag, f.Value.String(), commandLine)
		}
	}
	if err := l.chooseCluster(getenv(kubeconfigVariable)); err != nil {
		return Config{}, err
	}
	return l.config, nil
}

type loader struct {
	config  Config
	base    base
	sources map[string]source // of the settings that are given, by variable
	errs    []error
}

// source says where a value comes from.
type source string

const (
	configFile  source = "in the CONFIG file"
	environment source = "in the environment"
	commandLine source = "on the command line"
)

func (l *loader) set(s Setting, field, text string, from source) {
	if err := s.value.set(&l.config, l.base, text); err != nil {
		l.errs = append(l.errs, &FieldError{Field: field, Value: text, Remedy: oneline.Of(err.Error())})
	}
	l.sources[s.Variable] = from
}

// file reads the file with settings, if there is one.
func (l *loader) file(flags *pflag.FlagSet, path string) {
	field := fileVariable
	if f := flags.Lookup(fileFlag); f != nil && f.Changed {
		field, path = "--"+fileFlag, f.Value.String()
	}
	if path == "" {
		return
	}
	absolute, err := l.base.absolute(path)
	if err != nil {
		l.errs = append(l.errs, &FieldError{Field: field, Value: path, Remedy: err.Error()})
		return
	}
	names, err := l.config.readFile(field, absolute, l.base.home)
	for _, name := range names {
		l.sources[name] = configFile
	}
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// chooseCluster decides where the run goes, and says why. exported is the
// KUBECONFIG of the environment, which counts with PROVIDER=existing if no
// other is given.
func (l *loader) chooseCluster(exported string) error {
	c := &l.config.Cluster
	from, named := l.sources["PROVIDER"]
	given := c.Kubeconfig != ""
	switch {
	case named && c.Provider != "":
		c.Why = fmt.Sprintf("PROVIDER=%s is given %s", c.Provider, from)
	case given:
		c.Provider = Existing
		c.Why = "KUBECONFIG is given " + string(l.sources[kubeconfigVariable])
	default:
		c.Provider = Lab
		c.Why = "KUBECONFIG is not given on the command line"
	}
	const instead = "; give it on the command line, or PROVIDER=existing, to use it"
	switch {
	case c.Provider != Existing:
		if given {
			c.Why += "; KUBECONFIG=" + c.Kubeconfig + " is not used"
		}
		c.Kubeconfig = "" // the provider makes its own
		if exported != "" && !given {
			c.Why += "; the exported KUBECONFIG=" + oneline.Of(exported) + " is not used" + instead
		}
	case !given && exported != "":
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Variable == kubeconfigVariable })
		l.set(settings[i], kubeconfigVariable, exported, environment)
		c.Why += ", and KUBECONFIG " + string(environment)
	case given && exported != "" && l.sources[kubeconfigVariable] == configFile:
		c.Why += "; the exported KUBECONFIG is not used"
	}
	return errors.Join(l.errs...)
}

// Where is the cluster of the run, and why it is that one.
func (c Config) Where() string {
	if c.Cluster.Provider == Lab {
		name := c.Lab.Name
		if name == "" {
			name = "default"
		}
		return fmt.Sprintf("lab %q on this machine: %s", name, c.Cluster.Why)
	}
	if c.Cluster.Provider == Kind {
		return fmt.Sprintf("kind cluster %q on this machine: %s", c.Kind.ClusterName(), c.Cluster.Why)
	}
	where := "kubeconfig " + c.Cluster.Kubeconfig
	if c.Cluster.Context != "" {
		where += ", context " + c.Cluster.Context
	}
	return where + ": " + c.Cluster.Why
}

// kubeconfigs refuses files that cannot be read. As with kubectl, one of
// several may be missing, but not all.
func (c Config) kubeconfigs() error {
	files := strings.Split(c.Cluster.Kubeconfig, string(os.PathListSeparator))
	missing := 0
	for _, file := range files {
		err := regularFile(file)
		switch {
		case err == nil:
		case len(files) > 1 && errors.Is(err, os.ErrNotExist):
			missing++
		default:
			return &FieldError{kubeconfigVariable, file, reason(err) + "; give the path of a readable kubeconfig file"}
		}
	}
	if missing == len(files) {
		return &FieldError{kubeconfigVariable, c.Cluster.Kubeconfig, "none of these files exists; give the path of a readable kubeconfig file"}
	}
	return nil
}
