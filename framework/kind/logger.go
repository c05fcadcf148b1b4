package kind

import (
	"fmt"
	"strings"

	"sigs.k8s.io/kind/pkg/log"

	"pmem-memcached-e2e/framework/progress"
)

// logger passes on what kind reports, line by line.
type logger struct{ w progress.Writer }

var _ log.Logger = logger{}

func (l logger) print(message string) {
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "_EXPERIMENTAL_") {
			fmt.Fprintf(l.w, "kind     %s\n", line)
		}
	}
}

// Warn implements log.Logger.
func (l logger) Warn(message string) { l.print(message) }

// Warnf implements log.Logger.
func (l logger) Warnf(format string, args ...any) { l.print(fmt.Sprintf(format, args...)) }

// Error implements log.Logger.
func (l logger) Error(message string) { l.print(message) }

// Errorf implements log.Logger.
func (l logger) Errorf(format string, args ...any) { l.print(fmt.Sprintf(format, args...)) }

// V implements log.Logger. Only what is meant for users is passed on.
func (l logger) V(level log.Level) log.InfoLogger { return info{l, level == 0} }

type info struct {
	logger
	enabled bool
}

// Info implements log.InfoLogger.
func (i info) Info(message string) {
	if i.enabled {
		i.print(message)
	}
}

// Infof implements log.InfoLogger.
func (i info) Infof(format string, args ...any) {
	if i.enabled {
		i.print(fmt.Sprintf(format, args...))
	}
}

// Enabled implements log.InfoLogger.
func (i info) Enabled() bool { return i.enabled }
