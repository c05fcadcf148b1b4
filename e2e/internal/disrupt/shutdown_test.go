package disrupt

import (
	"encoding/json"
	"testing"
	"time"
)

func TestShutdownGrace(t *testing.T) {
	const byPriority = `{"shutdownGracePeriod":"0s","shutdownGracePeriodByPodPriority":[
		{"priority":100,"shutdownGracePeriodSeconds":10},{"priority":-5,"shutdownGracePeriodSeconds":0},{"priority":1000,"shutdownGracePeriodSeconds":60}]}`
	for _, c := range []struct {
		name, config string
		priority     int32
		want         time.Duration
	}{
		{"not set", `{"shutdownGracePeriod":"0s","shutdownGracePeriodCriticalPods":"0s"}`, 0, 0},
		{"another kubelet", `{}`, 0, 0},
		{"set", `{"shutdownGracePeriod":"30s","shutdownGracePeriodCriticalPods":"10s"}`, 0, 20 * time.Second},
		{"a critical pod", `{"shutdownGracePeriod":"30s","shutdownGracePeriodCriticalPods":"10s"}`, 2000001000, 10 * time.Second},
		{"all for critical pods", `{"shutdownGracePeriod":"10s","shutdownGracePeriodCriticalPods":"10s"}`, 0, 0},
		{"by priority, between", byPriority, 500, 10 * time.Second},
		{"by priority, equal", byPriority, 1000, time.Minute},
		{"by priority, the lowest", byPriority, 0, 0},
		{"by priority, below all", byPriority, -10, 0},
	} {
		var config kubeletConfig
		if err := json.Unmarshal([]byte(`{"kubeletconfig":`+c.config+`}`), &config); err != nil {
			t.Fatal(err)
		}
		if got := config.Kubelet.graceOf(c.priority); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
