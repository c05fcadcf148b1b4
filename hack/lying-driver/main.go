// Command lying-driver is a CSI driver that lies: it answers at a socket in place of the driver at another one, and
// changes what that one is asked or answers, by one fault.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func main() {
	endpoint := flag.String("endpoint", "/csi/csi.sock", "`socket` to answer at")
	driver := flag.String("driver", "/csi/driver.sock", "`socket` of the driver")
	name := flag.String("fault", faithful, "what is wrong")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *endpoint, *driver, *name); err != nil {
		fmt.Fprintln(os.Stderr, "lying-driver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, endpoint, driver, name string) error {
	f, ok := faults[name]
	if !ok {
		return fmt.Errorf("-fault=%s: there are %v", name, names())
	}
	upstream, err := grpc.NewClient("unix:"+driver, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return err
	}
	defer upstream.Close()
	dir := filepath.Dir(endpoint)
	if f.first != nil {
		if err := f.first(ctx, dir, csi.NewNodeClient(upstream)); err != nil {
			return err
		}
	}
	if err := os.Remove(endpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", endpoint)
	if err != nil {
		return err
	}
	p := proxy{upstream: upstream, changes: f.start(dir)}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(p.answer))
	defer context.AfterFunc(ctx, server.Stop)()
	fmt.Fprintf(os.Stderr, "lying-driver: %s: %s\n", name, f.what)
	return server.Serve(listener)
}

// proxy carries calls to the driver. All of CSI's have one request and one answer.
type proxy struct {
	upstream *grpc.ClientConn
	changes  map[string]change // by method
}

func (p *proxy) answer(_ any, stream grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(stream)
	if !ok {
		return status.Error(codes.Internal, "a call without a method")
	}
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	answer, err := p.call(stream.Context(), method, request)
	if err != nil {
		return err
	}
	return stream.SendMsg(&answer)
}

func (p *proxy) call(ctx context.Context, method string, request []byte) (answer []byte, err error) {
	forward := func(request []byte) (answer []byte, err error) {
		// The driver may start later than this program.
		err = p.upstream.Invoke(ctx, method, &request, &answer, grpc.WaitForReady(true))
		return answer, err
	}
	if change := p.changes[method]; change != nil {
		return change(request, forward)
	}
	return forward(request)
}

// raw leaves messages as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (raw) Name() string { return "raw" }
