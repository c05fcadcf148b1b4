// Command csi-node-driver-registrar registers a CSI driver with the kubelet. It
// takes the flags of the program of the same name of the Kubernetes project,
// whose place it takes where that one's image is not to be had.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func main() {
	var (
		csiAddress   = flag.String("csi-address", "/run/csi/socket", "path of the driver's socket in this container")
		kubeletPath  = flag.String("kubelet-registration-path", "", "path of the driver's socket on the node")
		registryPath = flag.String("plugin-registration-path", "/registration", "directory that the kubelet watches for registration sockets")
		timeout      = flag.Duration("timeout", time.Minute, "how long to wait for the driver's answer")
		_            = flag.Int("v", 0, "accepted and unused")
	)
	flag.Parse()
	if *kubeletPath == "" {
		log.Print("--kubelet-registration-path is empty: give the path of the driver's socket on the node")
		os.Exit(3)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *csiAddress, *kubeletPath, *registryPath, *timeout); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, csiAddress, kubeletPath, registryPath string, timeout time.Duration) error {
	name, err := driverName(ctx, csiAddress, timeout)
	if err != nil {
		return fmt.Errorf("ask the driver at %s for its name: %w", csiAddress, err)
	}
	socket := filepath.Join(registryPath, name+"-reg.sock")
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for the kubelet: %w", err)
	}
	failed := make(chan error, 1)
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, &registrar{
		info: &registration.PluginInfo{
			Type:              registration.CSIPlugin,
			Name:              name,
			Endpoint:          kubeletPath,
			SupportedVersions: []string{"1.0.0"},
		},
		failed: failed,
	})
	log.Printf("driver %s: offered to the kubelet at %s", name, socket)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		server.GracefulStop()
		return nil
	}
}

// driverName asks the driver and keeps asking until it listens.
func driverName(ctx context.Context, address string, timeout time.Duration) (string, error) {
	conn, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := csi.NewIdentityClient(conn).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return "", err
	}
	return answer.GetName(), nil
}

type registrar struct {
	registration.UnsafeRegistrationServer
	info   *registration.PluginInfo
	failed chan<- error
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return r.info, nil
}

func (r *registrar) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if status.GetPluginRegistered() {
		log.Printf("driver %s: registered", r.info.GetName())
	} else {
		r.failed <- fmt.Errorf("the kubelet refused driver %s: %s", r.info.GetName(), status.GetError())
	}
	return &registration.RegistrationStatusResponse{}, nil
}
