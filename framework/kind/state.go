package kind

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/kind/region"
)

// state is what is written down about the cluster before it is made, so that
// it can be removed by another process, too.
type state struct {
	Dir     string       `json:"-"`
	Name    string       `json:"name"`
	Engine  string       `json:"engine"`
	Pulled  string       `json:"pulled,omitempty"`  // image that the engine did not have before
	Network string       `json:"network,omitempty"` // that was not there before
	Region  region.State `json:"region"`
}

const stateFile = "state.json"

func (s *state) save() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, stateFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write down the state of the kind cluster: %w", err)
	}
	return os.Rename(path+".new", path)
}

func readState(dir string) (*state, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	s := &state{Dir: dir}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}
