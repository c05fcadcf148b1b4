package probe

import (
	"strings"
	"testing"
)

const group = `memory.max:67108864
memory.current:11534336
memory.events:low 0
memory.events:oom 1
memory.events:oom_kill 2
memory.events:oom_group_kill 1
memory.stat:anon 4194304
memory.stat:file 3670016
memory.stat:file_mapped 1048576
`

func TestParseControlGroup(t *testing.T) {
	want := ControlGroup{Limit: 67108864, Current: 11534336, Anonymous: 4194304, File: 3670016, Kills: 2}
	if got, err := parseControlGroup(group); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	unlimited := strings.Replace(group, "memory.max:67108864", "memory.max:max", 1)
	want.Limit = 0
	if got, err := parseControlGroup(unlimited); err != nil || got != want {
		t.Errorf("without a limit: %+v, %v", got, err)
	}
	if _, err := parseControlGroup(strings.Replace(group, "anon 4194304", "anon", 1)); err == nil || !strings.Contains(err.Error(), `memory.stat:anon is ""`) {
		t.Errorf("a line without a value: %v", err)
	}
}
