// Package plane runs the control plane of a lab as processes of this host.
package plane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// Plane is the control plane of a lab.
type Plane struct {
	Dir state.Dir
	// Etcd and Kubernetes are executables. Kubernetes acts as the program by
	// whose name it is started.
	Etcd, Kubernetes string
}

// Names of the programs.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	forwarder         = "forwarder"
)

// Programs are the names of all programs.
var Programs = []string{etcd, apiServer, controllerManager, scheduler, forwarder}

// Commands are those of the programs that make up the control plane.
func (p Plane) Commands() []*exec.Cmd {
	return []*exec.Cmd{p.etcd(), p.apiServer(), p.controllerManager(), p.scheduler()}
}

// Start starts etcd and the API server, opens the way to it at a port of
// 127.0.0.1, any if that is 0, and then starts what needs the API server.
func (p Plane) Start(ctx context.Context, programs *process.Group, w wait.Waiter, port int) error {
	etcdEnded, err := programs.Start(etcd, p.etcd())
	if err != nil {
		return err
	}
	apiEnded, err := programs.Start(apiServer, p.apiServer())
	if err != nil {
		return err
	}
	if err := startForwarder(p.Dir, programs, port); err != nil {
		return err
	}
	client, err := Client(p.Dir)
	if err != nil {
		return err
	}
	if err := w.Until(ctx, wait.LabAPI, "the API server of the lab", func(ctx context.Context) (bool, string, error) {
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
	_, managerErr := programs.Start(controllerManager, p.controllerManager())
	_, schedulerErr := programs.Start(scheduler, p.scheduler())
	return errors.Join(managerErr, schedulerErr)
}

// StopServing ends the API server, and before it what uses it. etcd stays.
func StopServing(programs *process.Group) error {
	for _, name := range []string{forwarder, controllerManager, scheduler, apiServer} {
		if p, runs := programs.Find(name); runs {
			if err := p.Kill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// FindEtcd returns the process of etcd, if it runs.
func FindEtcd(programs *process.Group) (process.Process, bool) { return programs.Find(etcd) }

func (p Plane) etcd() *exec.Cmd {
	return exec.Command(p.Etcd,
		"--name=lab",
		"--data-dir="+p.Dir.Path(state.EtcdDir),
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

func (p Plane) apiServer() *exec.Cmd {
	return p.kubernetes(apiServer,
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address="+topology.HostAddress,
		"--advertise-address="+topology.HostAddress,
		"--secure-port="+topology.APIPort,
		"--tls-cert-file="+p.Dir.Key("apiserver.crt"),
		"--tls-private-key-file="+p.Dir.Key("apiserver.key"),
		"--client-ca-file="+p.Dir.Key("ca.crt"),
		"--kubelet-certificate-authority="+p.Dir.Key("ca.crt"),
		"--kubelet-client-certificate="+p.Dir.Key("apiserver-kubelet.crt"),
		"--kubelet-client-key="+p.Dir.Key("apiserver-kubelet.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+p.Dir.Key("service-accounts.key"),
		"--service-account-signing-key-file="+p.Dir.Key("service-accounts.key"),
		"--service-cluster-ip-range="+topology.ServiceRange,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		// The driver's node pods are privileged.
		"--allow-privileged=true",
		"--anonymous-auth=false",
		"--profiling=false",
	)
}

func (p Plane) controllerManager() *exec.Cmd {
	return p.kubernetes(controllerManager,
		"--kubeconfig="+p.Dir.Key("controller-manager.kubeconfig"),
		"--service-account-private-key-file="+p.Dir.Key("service-accounts.key"),
		"--root-ca-file="+p.Dir.Key("ca.crt"),
		"--use-service-account-credentials=true",
		// Pods can go to a node that soon after it is Ready.
		"--node-monitor-period=1s",
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--profiling=false",
	)
}

func (p Plane) scheduler() *exec.Cmd {
	return p.kubernetes(scheduler,
		"--kubeconfig="+p.Dir.Key("scheduler.kubeconfig"),
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--profiling=false",
	)
}

// kubernetes returns the command of one of the programs in the Kubernetes
// executable.
func (p Plane) kubernetes(name string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: p.Kubernetes, Args: append([]string{name}, args...)}
}
