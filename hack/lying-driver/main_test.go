package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// driver is one that remembers what it was asked.
type driver struct {
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	asked []string
	made  int
}

func (d *driver) CreateVolume(_ context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	d.asked = append(d.asked, fmt.Sprintf("create %d MiB %s %v", r.CapacityRange.RequiredBytes>>20, r.VolumeCapabilities[0].GetMount().FsType, r.Parameters))
	d.made++
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: fmt.Sprint("volume", d.made), CapacityBytes: r.CapacityRange.RequiredBytes,
		AccessibleTopology: []*csi.Topology{{Segments: map[string]string{"node": "node1"}}}}}, nil
}

func (d *driver) DeleteVolume(_ context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	d.asked = append(d.asked, "delete "+r.VolumeId)
	return &csi.DeleteVolumeResponse{}, nil
}

func (d *driver) GetCapacity(context.Context, *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	return &csi.GetCapacityResponse{AvailableCapacity: int64(100 - d.made)}, nil
}

func (d *driver) NodeStageVolume(_ context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	d.asked = append(d.asked, "stage "+r.VolumeId)
	return &csi.NodeStageVolumeResponse{}, nil
}

func (d *driver) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	d.asked = append(d.asked, fmt.Sprintf("publish %s%v", r.VolumeId, r.VolumeContext))
	if r.VolumeContext[size] == tooLarge {
		return nil, status.Error(codes.ResourceExhausted, "not enough space")
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *driver) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if r.TargetPath != "" {
		d.asked = append(d.asked, "unpublish "+r.VolumeId+" from "+r.TargetPath)
		return &csi.NodeUnpublishVolumeResponse{}, nil
	}
	return nil, status.Error(codes.NotFound, "no such volume")
}

const tooLarge = "1Pi"

// lying starts a driver and one with a fault in front of it, whose socket is in dir, and returns the connection to that one.
func lying(t *testing.T, d *driver, dir, fault string) *grpc.ClientConn {
	t.Helper()
	endpoint, behind := filepath.Join(dir, "csi.sock"), filepath.Join(t.TempDir(), "driver.sock")
	listener, err := net.Listen("unix", behind)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	csi.RegisterControllerServer(server, d)
	csi.RegisterNodeServer(server, d)
	go server.Serve(listener)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- run(ctx, endpoint, behind, fault) }()
	conn, err := grpc.NewClient("unix:"+endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		server.Stop()
	})
	return conn
}

// observed makes two volumes, deletes one, publishes inline ones and unpublishes one, and returns what comes of it.
func observed(t *testing.T, fault string) string {
	t.Helper()
	d := &driver{}
	conn := lying(t, d, t.TempDir(), fault)
	controller, node := csi.NewControllerClient(conn), csi.NewNodeClient(conn)
	var seen []string
	note := func(err error, format string, args ...any) {
		if err != nil {
			args, format = []any{status.Convert(err).Message()}, "error %s"
		}
		seen = append(seen, fmt.Sprintf(format, args...))
	}
	for _, fs := range []string{"xfs", "ext3"} {
		a, err := controller.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
			Name: fs, CapacityRange: &csi.CapacityRange{RequiredBytes: 200 << 20}, Parameters: map[string]string{"usage": "FileIO"},
			VolumeCapabilities: []*csi.VolumeCapability{{AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: fs}}}},
		})
		note(err, "%s %d MiB %d nodes", a.GetVolume().GetVolumeId(), a.GetVolume().GetCapacityBytes()>>20, len(a.GetVolume().GetAccessibleTopology()))
		c, err := controller.GetCapacity(t.Context(), &csi.GetCapacityRequest{})
		note(err, "%d free", c.GetAvailableCapacity())
	}
	_, err := controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "volume1"})
	note(err, "deleted")
	for _, more := range []map[string]string{{size: "200Mi"}, {usage: "AppDirect"}, {size: tooLarge}} {
		more[inline] = "true"
		_, err = node.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{VolumeContext: more})
		note(err, "published")
	}
	_, err = node.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{})
	note(err, "unpublished")
	return strings.Join(append(d.asked, seen...), "\n")
}

func TestFaults(t *testing.T) {
	control := observed(t, faithful)
	for _, want := range []string{"create 200 MiB xfs map[usage:FileIO]", "publish map[csi.storage.k8s.io/ephemeral:true size:200Mi]", "volume1 200 MiB 1 nodes",
		"volume2", "99 free", "98 free", "delete volume1", "error no such volume"} {
		if !strings.Contains(control, want) {
			t.Errorf("of the control: %q is missing in\n%s", want, control)
		}
	}
	wants := map[string]string{
		"ignores-usage":       "create 200 MiB xfs map[]",
		"never-dax":           "publish map[csi.storage.k8s.io/ephemeral:true size:200Mi usage:FileIO]",
		"keeps-content":       "eraseafter:false",
		"smaller-volumes":     "create 100 MiB xfs map[usage:FileIO]",
		"larger-volumes":      "create 400 MiB xfs map[usage:FileIO]",
		"default-size":        "publish map[csi.storage.k8s.io/ephemeral:true size:64Mi usage:AppDirect]",
		"shrinks-to-fit":      "size:1Pi]\npublish map[csi.storage.k8s.io/ephemeral:true size:48Mi]",
		"takes-any-parameter": "create 200 MiB xfs map[]",
		"refuses-usage":       `error parameter "usage" is unknown`,
		"ext4-always":         "create 200 MiB ext4 map[usage:FileIO]\ncreate 200 MiB ext4",
		"any-filesystem":      "create 200 MiB xfs map[usage:FileIO]\ncreate 200 MiB ext4",
		"frozen-capacity":     "99 free\nvolume2 200 MiB 1 nodes\n99 free",
		"double-capacity":     "198 free",
		"forgets-delete":      "deleted",
		"forgets-unpublish":   "\nunpublished",
		"same-volume":         "volume1 200 MiB 1 nodes\n99 free\nvolume1 200 MiB",
		"no-topology":         "volume1 200 MiB 0 nodes",
		"loses-volumes":       "delete volume2\ndelete volume1",
	}
	for _, name := range names() {
		if name == faithful || faults[name].first != nil {
			continue
		}
		got, want := observed(t, name), wants[name]
		if got == control || want == "" || !strings.Contains(got, want) {
			t.Errorf("where %s: %q is missing in\n%s", faults[name].what, want, got)
		}
	}
	if got := observed(t, "forgets-delete"); strings.Contains(got, "delete volume1") {
		t.Errorf("the driver was asked to delete:\n%s", got)
	}
	if got := observed(t, "larger-volumes"); !strings.Contains(got, "volume1 200 MiB") {
		t.Errorf("of larger volumes:\n%s", got)
	}
	if got := observed(t, "takes-any-parameter"); !strings.Contains(got, "publish map[csi.storage.k8s.io/ephemeral:true size:200Mi]") {
		t.Errorf("where any parameter is taken:\n%s", got)
	}
	if got := observed(t, "smaller-volumes"); !strings.Contains(got, "volume1 200 MiB") || !strings.Contains(got, "size:100Mi") {
		t.Errorf("of smaller volumes:\n%s", got)
	}
}

// TestLosesVolumes makes volumes and mounts them. After a restart the one that was unstaged is another one.
func TestLosesVolumes(t *testing.T) {
	d, dir := &driver{}, t.TempDir()
	create := func(t *testing.T, conn *grpc.ClientConn) {
		t.Helper()
		_, err := csi.NewControllerClient(conn).CreateVolume(t.Context(), &csi.CreateVolumeRequest{
			CapacityRange:      &csi.CapacityRange{},
			VolumeCapabilities: []*csi.VolumeCapability{{AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	stage := func(t *testing.T, conn *grpc.ClientConn, id string) {
		t.Helper()
		if _, err := csi.NewNodeClient(conn).NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{VolumeId: id}); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(t *testing.T, conn *grpc.ClientConn, id string) {
		t.Helper()
		if _, err := csi.NewNodeClient(conn).NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{VolumeId: id}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("before", func(t *testing.T) {
		conn := lying(t, d, dir, "loses-volumes")
		for _, id := range []string{"volume1", "volume3"} {
			create(t, conn)
			stage(t, conn, id)
			publish(t, conn, id)
		}
		publish(t, conn, "inline")
	})
	before := d.asked
	d.asked = nil
	t.Run("after", func(t *testing.T) {
		conn := lying(t, d, dir, "loses-volumes")
		stage(t, conn, "volume1")
		for _, id := range []string{"volume1", "volume3", "inline"} {
			publish(t, conn, id)
		}
		for _, id := range []string{"volume1", "volume3"} {
			if _, err := csi.NewControllerClient(conn).DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id}); err != nil {
				t.Fatal(err)
			}
		}
	})
	made := "create 0 MiB  map[]"
	wantBefore := []string{made, made, "stage volume1", "publish volume1map[]", made, made, "stage volume3", "publish volume3map[]", "publish inlinemap[]"}
	wantAfter := []string{"stage volume2", "publish volume2map[]", "publish volume3map[]", "publish inlinemap[]",
		"delete volume2", "delete volume1", "delete volume4", "delete volume3"}
	if !slices.Equal(before, wantBefore) || !slices.Equal(d.asked, wantAfter) {
		t.Errorf("the driver was asked\n%q\n%q, want\n%q\n%q", before, d.asked, wantBefore, wantAfter)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*-of-*")); err != nil || left != nil {
		t.Errorf("files that remain: %v, %v", left, err)
	}
}

// TestUnmountsVolumes mounts two volumes and unmounts one. A restart unmounts the other.
func TestUnmountsVolumes(t *testing.T) {
	d, dir := &driver{}, t.TempDir()
	t.Run("before", func(t *testing.T) {
		node := csi.NewNodeClient(lying(t, d, dir, "unmounts-volumes"))
		for _, name := range []string{"one", "two"} {
			if _, err := node.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{VolumeId: name, TargetPath: "/pods/" + name}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := node.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: "one", TargetPath: "/pods/one"}); err != nil {
			t.Fatal(err)
		}
	})
	d.asked = nil
	t.Run("after", func(t *testing.T) {
		if _, err := csi.NewControllerClient(lying(t, d, dir, "unmounts-volumes")).GetCapacity(t.Context(), &csi.GetCapacityRequest{}); err != nil {
			t.Fatal(err)
		}
	})
	if want := []string{"unpublish two from /pods/two"}; !slices.Equal(d.asked, want) {
		t.Errorf("the driver was asked %q, want %q", d.asked, want)
	}
	if left, err := filepath.Glob(filepath.Join(dir, mountedAt+"*")); err != nil || left != nil {
		t.Errorf("files that remain: %v, %v", left, err)
	}
}

func TestUnknownFault(t *testing.T) {
	if err := run(t.Context(), "", "", "any"); err == nil || !strings.Contains(err.Error(), "-fault=any: there are [any-filesystem") {
		t.Errorf("of an unknown fault: %v", err)
	}
}
