package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/util"
	"k8s.io/kubectl/pkg/util/podutils"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

// A Forward carries TCP connections to a port of a pod until it is closed.
type Forward struct {
	Addr string // 127.0.0.1:port
	Pod  string

	cluster  *Cluster
	cancel   context.CancelFunc
	done     chan struct{}
	failures failures
}

// Err returns what has gone wrong with the forward so far, such as a refused connection in the pod
// or a pod that went away.
func (f *Forward) Err() error { return f.failures.join() }

// Close ends the forward and returns what Err returns.
func (f *Forward) Close() error {
	f.cancel()
	<-f.done
	return f.Err()
}

// lostWithin is how long a forward may take to notice that it has lost its pod.
const lostWithin = 2 * time.Second

// Judge finds out whose fault err is, which a client has met on a connection through f, and returns an
// error for package fault: that of the deployment when the forward carries on, or the pod refuses or resets
// connections, and that of the infrastructure when the forward has ended or the API server does not answer.
func (f *Forward) Judge(ctx context.Context, err error) error {
	if ctx.Err() != nil || !fault.Connection(err) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	notice := time.NewTimer(lostWithin)
	defer notice.Stop()
	select {
	case <-f.done:
		if cause := f.Err(); cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		if refusedInPod(err) {
			return fault.OfDeployment(err)
		}
		return fault.OfInfrastructure(fmt.Errorf("%w: the port-forward has ended", err))
	case <-notice.C:
	}
	if _, lost := f.cluster.ServerVersion(ctx); lost != nil {
		return fault.OfInfrastructure(fmt.Errorf("%w (%w)", err, lost))
	}
	return fault.OfDeployment(err)
}

// refusedInPod reports whether the kubelet has reported that nothing accepts connections in the pod, or
// that they were reset there. It reports so as text only.
func refusedInPod(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "an error occurred forwarding") &&
		(strings.Contains(text, "connection refused") || strings.Contains(text, "connection reset by peer"))
}

// ForwardPod listens on a free port of 127.0.0.1 and carries connections to a port of the pod,
// until Close is called or ctx ends.
func (c *Cluster) ForwardPod(ctx context.Context, namespace, pod string, port int) (*Forward, error) {
	fail := func(err error) error {
		return fault.OfInfrastructure(fmt.Errorf("forwarding to port %d of pod %s/%s: %w", port, namespace, pod, err))
	}
	limit, err := c.waiter.Limit(wait.Forwarded)
	if err != nil {
		return nil, fail(err)
	}
	url := c.Client.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return nil, fail(err)
	}
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, c.Config)
	if err != nil {
		return nil, fail(err)
	}
	dialer := portforward.NewFallbackDialerForStreaming(tunnel,
		spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, "POST", url), noWebSocket)

	f := &Forward{Pod: pod, cluster: c, done: make(chan struct{})}
	ctx, f.cancel = context.WithCancel(ctx)
	// The forwarder reports the failures of single connections to its logger only.
	ctx = klog.NewContext(ctx, logr.New(&f.failures))
	ready := make(chan struct{})
	forwarder, err := portforward.NewOnAddressesForStreamingWithContext(ctx, dialer,
		[]string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, ready, io.Discard, &f.failures)
	if err != nil {
		f.cancel()
		return nil, fail(err)
	}
	go func() {
		defer close(f.done)
		if err := forwarder.ForwardPorts(); err != nil {
			f.failures.add(err)
		}
	}()

	opened := time.NewTimer(limit)
	defer opened.Stop()
	select {
	case <-ready:
	case <-f.done:
		f.cancel()
		return nil, fail(f.Err())
	case <-opened.C:
		f.cancel()
		return nil, fail(fmt.Errorf("no connection to the pod within %s (limit %s)", limit, wait.Forwarded))
	case <-ctx.Done():
		f.cancel()
		return nil, fail(context.Cause(ctx))
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		return nil, fail(errors.Join(err, f.Close()))
	}
	f.Addr = fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
	return f, nil
}

// ForwardService forwards to the pod port that servicePort stands for, on a Ready pod that the
// Service selects, as kubectl port-forward service/NAME does. The pod is chosen once.
func (c *Cluster) ForwardService(ctx context.Context, namespace, service string, servicePort int) (*Forward, error) {
	fail := func(err error) error {
		return fmt.Errorf("forwarding to port %d of service %s/%s: %w", servicePort, namespace, service, err)
	}
	svc, err := c.Client.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return nil, fail(err)
	}
	if err := hasPort(svc, servicePort); err != nil {
		return nil, fail(err)
	}
	if len(svc.Spec.Selector) == 0 {
		return nil, fail(errors.New("the service has no selector, hence no pods to forward to"))
	}
	selector := labels.SelectorFromSet(svc.Spec.Selector).String()
	pods, err := c.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fail(fmt.Errorf("listing the pods selected by %s: %w", selector, err))
	}
	pod, err := readyPod(pods.Items, selector)
	if err != nil {
		return nil, fail(err)
	}
	port, err := util.LookupContainerPortNumberByServicePort(*svc, *pod, int32(servicePort))
	if err != nil {
		return nil, fail(err)
	}
	f, err := c.ForwardPod(ctx, namespace, pod.Name, int(port))
	if err != nil {
		return nil, fail(err)
	}
	return f, nil
}

func hasPort(svc *corev1.Service, port int) error {
	var have []string
	for _, p := range svc.Spec.Ports {
		if int(p.Port) == port {
			if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
				return fmt.Errorf("the port's protocol is %s; only TCP can be forwarded", p.Protocol)
			}
			return nil
		}
		have = append(have, strings.TrimSpace(fmt.Sprintf("%d %s", p.Port, p.Name)))
	}
	return fmt.Errorf("the service has no such port; it has %q", have)
}

func readyPod(pods []corev1.Pod, selector string) (*corev1.Pod, error) {
	seen := make([]string, 0, len(pods))
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp == nil && podutils.IsPodReady(pod) {
			return pod, nil
		}
		state := string(pod.Status.Phase)
		if pod.DeletionTimestamp != nil {
			state = "being deleted"
		}
		seen = append(seen, fmt.Sprintf("%s (%s)", pod.Name, state))
	}
	if len(seen) == 0 {
		return nil, fmt.Errorf("no pod has the labels %s of its selector", selector)
	}
	slices.Sort(seen)
	return nil, fmt.Errorf("no pod selected by %s is Ready: %s", selector, strings.Join(seen, ", "))
}

// failures gathers errors; as a logr.LogSink it takes those that a library only logs.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *failures) join() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

func (f *failures) Write(p []byte) (int, error) {
	f.add(errors.New(strings.TrimSpace(string(p))))
	return len(p), nil
}

func (f *failures) Error(err error, msg string, _ ...any) {
	switch {
	case err == nil:
		f.add(errors.New(msg))
	default:
		f.add(fmt.Errorf("%s: %w", msg, err))
	}
}

func (f *failures) Init(logr.RuntimeInfo)          {}
func (f *failures) Enabled(int) bool               { return false }
func (f *failures) Info(int, string, ...any)       {}
func (f *failures) WithValues(...any) logr.LogSink { return f }
func (f *failures) WithName(string) logr.LogSink   { return f }
