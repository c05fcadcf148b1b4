//go:build vm

package vmtest

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/power"
)

// A lab that continues from a snapshot is as good as one that has booted: its
// nodes know the time, run pods, reach each other, and boot after a power cut.
func TestSnapshot(t *testing.T) {
	s := upWith(t, func(o *lab.Options) { o.Snapshot = true })
	if s.lab.Status(during(t)).Snapshot == "" {
		t.Error("status says nothing of the snapshot")
	}
	for i, n := range s.lab.Status(during(t)).Nodes {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("clock-%d", i)}, Spec: corev1.PodSpec{
			NodeName:   n.Name,
			Containers: []corev1.Container{{Command: []string{"sleep", "infinity"}}},
		}}
		s.run(t, pod)
		s.ready(t, pod.Name, "")
		before := time.Now()
		seconds, err := strconv.ParseFloat(s.shell(t, pod.Name, "date +%s.%N"), 64)
		if err != nil {
			t.Fatal(err)
		}
		// Between the two readings lies the call itself.
		if off := time.Unix(0, int64(seconds*1e9)).Sub(before); math.Abs(off.Seconds()) > time.Since(before).Seconds()+0.5 {
			t.Errorf("the clock of %s is off by %s", n.Name, off)
		}
	}
	t.Run("network", s.testNetwork)
	const node = "node2"
	s.power(t, node, power.Cut)
	t.Logf("on after a cut %.1fs", s.power(t, node, power.On).Seconds())
	s.node(t, node)
}
