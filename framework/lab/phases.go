package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"pmem-memcached-e2e/framework/lab/private"
)

// PhaseTime is a phase of Up and how long it took.
type PhaseTime struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"` // in nanoseconds
}

const phasesFile = "phases.json"

// recordPhase writes down a phase that has ended, for later commands.
func (l *Lab) recordPhase(name string, took time.Duration) error {
	phases, err := l.readPhases()
	if err != nil {
		return err
	}
	text, err := json.Marshal(append(phases, PhaseTime{name, took}))
	if err == nil {
		err = private.ReplaceFile(l.dir.Path(phasesFile), text)
	}
	if err != nil {
		return fmt.Errorf("write down how long the phase took: %w", err)
	}
	return nil
}

// readPhases returns nothing if nothing is written down.
func (l *Lab) readPhases() ([]PhaseTime, error) {
	text, err := os.ReadFile(l.dir.Path(phasesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var phases []PhaseTime
	if err == nil {
		err = json.Unmarshal(text, &phases)
	}
	if err != nil {
		return nil, fmt.Errorf("how long the phases of lab %s took: %s: %w", l.opts.Name, l.dir.Path(phasesFile), err)
	}
	return phases, nil
}
