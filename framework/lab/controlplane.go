package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// startControlPlane starts etcd and the API server, opens the way to it on
// 127.0.0.1, and then starts what needs the API server.
func (l *Lab) startControlPlane(ctx context.Context) error {
	etcdEnded, err := l.programs.Start("etcd", l.etcd())
	if err != nil {
		return err
	}
	apiEnded, err := l.programs.Start("kube-apiserver", l.apiServer())
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
		"--data-dir="+l.dir.Path(state.EtcdDir),
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
		"--bind-address="+topology.HostAddress,
		"--advertise-address="+topology.HostAddress,
		"--secure-port="+topology.APIPort,
		"--tls-cert-file="+l.dir.Key("apiserver.crt"),
		"--tls-private-key-file="+l.dir.Key("apiserver.key"),
		"--client-ca-file="+l.dir.Key("ca.crt"),
		"--kubelet-certificate-authority="+l.dir.Key("ca.crt"),
		"--kubelet-client-certificate="+l.dir.Key("apiserver-kubelet.crt"),
		"--kubelet-client-key="+l.dir.Key("apiserver-kubelet.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+l.dir.Key("service-accounts.key"),
		"--service-account-signing-key-file="+l.dir.Key("service-accounts.key"),
		"--service-cluster-ip-range="+topology.ServiceRange,
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
		"--kubeconfig="+l.dir.Key("controller-manager.kubeconfig"),
		"--service-account-private-key-file="+l.dir.Key("service-accounts.key"),
		"--root-ca-file="+l.dir.Key("ca.crt"),
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
		"--kubeconfig="+l.dir.Key("scheduler.kubeconfig"),
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
	_, err := l.programs.Start(name, cmd)
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
