package framework

import (
	"errors"
	"fmt"
	"testing"
)

func TestHasNil(t *testing.T) {
	var missing error
	var none *int
	for _, tt := range []struct {
		format string
		args   []any
		want   bool
	}{
		{"served from before: none", nil, false},
		{"the command ended with %d after %s", []any{137, "1s"}, false},
		{"%s", []any{"the kubelet reports <nil>"}, false},
		{"the command %v", []any{errors.New("returned <nil>")}, false},
		{"the command %v", []any{missing}, true},
		{"%v items", []any{none}, true},
		{"%v", []any{struct{ Count *int }{}}, true},
		{"the command that took memory %s", []any{fmt.Sprint(missing)}, true},
		{"the command ended with <nil>", nil, true},
	} {
		if got := hasNil(tt.format, tt.args); got != tt.want {
			t.Errorf("hasNil(%q, %v) = %t, want %t", tt.format, tt.args, got, tt.want)
		}
	}
}
