// Package cluster is the Kubernetes cluster under test: its clients, exec, logs and port-forward.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"pmem-memcached-e2e/framework/cluster/tally"
	"pmem-memcached-e2e/framework/wait"
)

const (
	answerLimit = 10 * time.Second

	// The client's own throttle must not distort what the suite measures; the server's priority and
	// fairness protects the server.
	qps   = 100
	burst = 200
)

// A Cluster is a connection to the cluster under test.
type Cluster struct {
	Config     *rest.Config
	Client     kubernetes.Interface
	Resources  *resources.Resources
	Kubeconfig string    // the path that was given, or the files that were searched
	Power      NodePower // of its provider; nil: none
	// Drivers are the names of the CSI drivers that are examined, by the deployments under test; empty: every
	// PMEM-CSI on the cluster.
	Drivers []string
	Tally   *tally.Tally // of what is asked of it

	waiter   wait.Waiter // has the limit of opening a port-forward
	sessions *sessions   // nil: every command gets a process of its own
}

// Connect reads kubeconfig, which may be several files as in $KUBECONFIG, and
// verifies that its API server answers within 10 seconds. An empty kubeconfig
// means the files that kubectl would read ($KUBECONFIG, ~/.kube/config), an
// empty contextName the current context of the files. The waiter has the limit
// of opening a port-forward. The error has a remedy.
func Connect(ctx context.Context, kubeconfig, contextName string, waiter wait.Waiter) (*Cluster, error) {
	return connect(ctx, kubeconfig, contextName, waiter, answerLimit)
}

func connect(ctx context.Context, kubeconfig, contextName string, waiter wait.Waiter, limit time.Duration) (*Cluster, error) {
	config, user, path, err := load(kubeconfig, contextName)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = qps, burst
	config.UserAgent = "pmem-memcached-e2e"
	config.WarningHandlerWithContext = rest.NoWarnings{}

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: making a client for %s: %w", path, config.Host, err)
	}
	c := &Cluster{Config: config, Client: client, Kubeconfig: path, Tally: &tally.Tally{}, waiter: waiter}
	if _, err := c.version(ctx, limit); ctx.Err() != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	} else if err != nil {
		remedy := hint(err, user)
		if first, _, several := strings.Cut(err.Error(), "\n"); several { // as that of a missing plug-in
			err = errors.New(first)
		}
		return nil, fmt.Errorf("kubeconfig %s: %w; %s", path, err, remedy)
	}
	// The first request was not repeated, so that a cluster that is not there is reported at once.
	config.Wrap(c.Tally.Wrap)
	config.Wrap(retryReads)
	if c.Client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: making a client for %s: %w", path, config.Host, err)
	}
	if c.Resources, err = resources.New(config); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: making a client for %s: %w", path, config.Host, err)
	}
	return c, nil
}

// Credentials are the secrets by which c logs in.
func (c *Cluster) Credentials() []string {
	all := []string{c.Config.BearerToken, c.Config.Password, string(c.Config.KeyData)}
	if file := c.Config.BearerTokenFile; file != "" {
		if token, err := os.ReadFile(file); err == nil {
			all = append(all, string(token))
		}
	}
	return all
}

// rules are those of kubectl: one file has to exist, of several those count
// that do, the first ones winning.
func rules(kubeconfig string) (*clientcmd.ClientConfigLoadingRules, error) {
	if kubeconfig == "" {
		return clientcmd.NewDefaultClientConfigLoadingRules(), nil
	}
	files := filepath.SplitList(kubeconfig)
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			if len(files) == 1 {
				return &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}, nil
			}
			return &clientcmd.ClientConfigLoadingRules{Precedence: files}, nil
		} else if len(files) == 1 {
			return nil, fmt.Errorf("kubeconfig %s: %w; name a file that exists", kubeconfig, err)
		}
	}
	return nil, fmt.Errorf("kubeconfig %s: none of these files exists; name one that does", kubeconfig)
}

func load(kubeconfig, contextName string) (config *rest.Config, user, path string, err error) {
	rules, err := rules(kubeconfig)
	if err != nil {
		return nil, "", "", err
	}
	path = strings.Join(rules.GetLoadingPrecedence(), string(os.PathListSeparator))

	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", "", fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	if _, ok := raw.Contexts[contextName]; contextName != "" && !ok {
		var have []string
		for name := range raw.Contexts {
			have = append(have, name)
		}
		slices.Sort(have)
		return nil, "", "", fmt.Errorf("kubeconfig %s: no context %q; it has %q", path, contextName, have)
	}
	switch err := clientcmd.ConfirmUsable(raw, contextName); {
	case clientcmdapi.IsConfigEmpty(&raw), errors.Is(err, clientcmd.ErrNoContext):
		return nil, "", "", fmt.Errorf("kubeconfig %s: it is missing or names no current context; set KUBECONFIG to the kubeconfig of the cluster under test", path)
	case err != nil:
		return nil, "", "", fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	if config, err = loader.ClientConfig(); err != nil {
		return nil, "", "", fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	if contextName == "" {
		contextName = raw.CurrentContext
	}
	if c := raw.Contexts[contextName]; c != nil {
		user = c.AuthInfo
	}
	return config, user, path, nil
}

// ServerVersion asks the API server for its version, for at most 10 seconds.
func (c *Cluster) ServerVersion(ctx context.Context) (*version.Info, error) {
	return c.version(ctx, answerLimit)
}

func (c *Cluster) version(ctx context.Context, limit time.Duration) (*version.Info, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := c.Client.Discovery().RESTClient().Get().AbsPath("/version").Do(limited).Raw()
	if err != nil {
		if ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s: %w", limit, err)
		}
		// The error of a request whose answer is not decoded has no text of its own.
		if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code != 0 {
			err = fmt.Errorf("HTTP status %d (%w), %.200q", status.Status().Code, err, body)
		}
		return nil, fmt.Errorf("asking the API server %s for its version: %w", c.Config.Host, err)
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, fmt.Errorf("asking %s for its version: it answered %.100q, which is not an API server's answer: %w", c.Config.Host, body, err)
	}
	if info.GitVersion == "" {
		return nil, fmt.Errorf("asking %s for its version: it answered %.100q, which is not an API server's answer", c.Config.Host, body)
	}
	return &info, nil
}
