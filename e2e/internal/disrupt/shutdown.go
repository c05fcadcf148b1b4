package disrupt

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework"
)

// criticalPriority is the least priority of a critical pod, that of system-cluster-critical.
const criticalPriority = 2000000000

// ShutdownGrace is how long the kubelet delays a shutdown of the node of p for pods like p to end; 0 if it is not
// configured to delay it, so that p is ended together with the programs of the node.
func ShutdownGrace(ctx context.Context, e *framework.Env, p *corev1.Pod) time.Duration {
	attempted := fmt.Sprintf("read the configuration of the kubelet of node %s", p.Spec.NodeName)
	answer, err := e.Cluster.Client.CoreV1().RESTClient().Get().Resource("nodes").Name(p.Spec.NodeName).SubResource("proxy").Suffix("configz").Do(ctx).Raw()
	e.NoError(err, "%s", attempted)
	var config kubeletConfig
	e.NoError(json.Unmarshal(answer, &config), "%s", attempted)
	var priority int32
	if p.Spec.Priority != nil {
		priority = *p.Spec.Priority
	}
	return config.Kubelet.graceOf(priority)
}

// kubeletConfig is what a kubelet answers to /configz.
type kubeletConfig struct {
	Kubelet shutdown `json:"kubeletconfig"`
}

// shutdown has the fields of KubeletConfiguration about a shutdown of the node.
type shutdown struct {
	Grace      metav1.Duration `json:"shutdownGracePeriod"`
	Critical   metav1.Duration `json:"shutdownGracePeriodCriticalPods"`
	ByPriority []gracePeriod   `json:"shutdownGracePeriodByPodPriority"`
}

// gracePeriod is that of pods of a priority and above it, up to the priority of the next one.
type gracePeriod struct {
	Priority int32 `json:"priority"`
	Seconds  int64 `json:"shutdownGracePeriodSeconds"`
}

// graceOf returns the grace period of pods of a priority. Pods below all priorities of a list have that of the lowest.
func (s shutdown) graceOf(priority int32) time.Duration {
	periods := slices.SortedFunc(slices.Values(s.ByPriority), func(a, b gracePeriod) int { return cmp.Compare(a.Priority, b.Priority) })
	if len(periods) == 0 {
		periods = []gracePeriod{
			{0, int64((s.Grace.Duration - s.Critical.Duration).Seconds())},
			{criticalPriority, int64(s.Critical.Seconds())},
		}
	}
	grace := periods[0]
	for _, p := range periods {
		if p.Priority <= priority {
			grace = p
		}
	}
	return time.Duration(grace.Seconds) * time.Second
}
