package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"pmem-memcached-e2e/framework/wait"
)

// Directories of the lab's state.
const (
	etcdDir  = "etcd"
	keysDir  = "keys"
	nodesDir = "nodes"
)

// startControlPlane starts etcd and the API server, opens the way to it on
// 127.0.0.1, and then starts what needs the API server.
func (l *Lab) startControlPlane(ctx context.Context) error {
	etcdEnded, err := l.start("etcd", l.etcd())
	if err != nil {
		return err
	}
	apiEnded, err := l.start("kube-apiserver", l.apiServer())
	if err != nil {
		return err
	}
	if err := l.startForwarder(); err != nil {
		return err
	}
	client, err := l.client()
	if err != nil {
		return err
	}
	if err := l.wait.Until(ctx, wait.LabAPI, "the API server of the lab", func(ctx context.Context) (bool, string, error) {
		select {
		case err := <-etcdEnded:
			return false, "", wait.Stop(err)
		case err := <-apiEnded:
			return false, "", wait.Stop(err)
		default:
		}
		var code int
		err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&code).Error()
		return code == http.StatusOK, fmt.Sprintf("status %d of /readyz", code), err
	}); err != nil {
		return err
	}
	return errors.Join(
		l.startOnly("kube-controller-manager", l.controllerManager()),
		l.startOnly("kube-scheduler", l.scheduler()),
	)
}

func (l *Lab) etcd() *exec.Cmd {
	return exec.Command(l.parts.Etcd,
		"--name=lab",
		"--data-dir="+l.path(etcdDir),
		"--listen-client-urls=http://127.0.0.1:2379",
		"--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=lab=http://127.0.0.1:2380",
		// The lab's disk is thrown away with it.
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
}

func (l *Lab) apiServer() *exec.Cmd {
	return l.kubernetes("kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address="+hostAddress,
		"--advertise-address="+hostAddress,
		"--secure-port="+apiPort,
		"--tls-cert-file="+l.path(keysDir, "apiserver.crt"),
		"--tls-private-key-file="+l.path(keysDir, "apiserver.key"),
		"--client-ca-file="+l.path(keysDir, "ca.crt"),
		"--kubelet-certificate-authority="+l.path(keysDir, "ca.crt"),
		"--kubelet-client-certificate="+l.path(keysDir, "apiserver-kubelet.crt"),
		"--kubelet-client-key="+l.path(keysDir, "apiserver-kubelet.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+l.path(keysDir, "service-accounts.key"),
		"--service-account-signing-key-file="+l.path(keysDir, "service-accounts.key"),
		"--service-cluster-ip-range="+serviceRange,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		// The driver's node pods are privileged.
		"--allow-privileged=true",
		"--anonymous-auth=false",
		"--profiling=false",
	)
}

func (l *Lab) controllerManager() *exec.Cmd {
	return l.kubernetes("kube-controller-manager",
		"--kubeconfig="+l.path(keysDir, "controller-manager.kubeconfig"),
		"--service-account-private-key-file="+l.path(keysDir, "service-accounts.key"),
		"--root-ca-file="+l.path(keysDir, "ca.crt"),
		"--use-service-account-credentials=true",
		// Pods can go to a node that soon after it is Ready.
		"--node-monitor-period=1s",
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--profiling=false",
	)
}

func (l *Lab) scheduler() *exec.Cmd {
	return l.kubernetes("kube-scheduler",
		"--kubeconfig="+l.path(keysDir, "scheduler.kubeconfig"),
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--profiling=false",
	)
}

// kubernetes returns the command of one of the programs in the Kubernetes
// executable.
func (l *Lab) kubernetes(name string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: l.parts.Kubernetes, Args: append([]string{name}, args...)}
}

func (l *Lab) startOnly(name string, cmd *exec.Cmd) error {
	_, err := l.start(name, cmd)
	return err
}

// client returns a client of the lab's API server.
func (l *Lab) client() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of the lab: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	return kubernetes.NewForConfig(config)
}

// apiAddress is where the API server listens in the lab's namespace.
var apiAddress = net.JoinHostPort(hostAddress, apiPort)
