package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	encodedproto "google.golang.org/grpc/encoding/proto"
)

// mountedAt begins the names of files with the ids of volumes that are mounted; the rest of the name is the path.
const mountedAt = "mounted-at-"

// remembered keeps a file in dir for each volume that is mounted in a pod.
func remembered(dir string) map[string]change {
	file := func(path string) string { return filepath.Join(dir, mountedAt+url.PathEscape(path)) }
	return map[string]change{
		csi.Node_NodePublishVolume_FullMethodName: asked(func(r *csi.NodePublishVolumeRequest, forward func(*csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error)) (*csi.NodePublishVolumeResponse, error) {
			a, err := forward(r)
			if err != nil {
				return nil, err
			}
			return a, os.WriteFile(file(r.TargetPath), []byte(r.VolumeId), 0o600)
		}),
		csi.Node_NodeUnpublishVolume_FullMethodName: asked(func(r *csi.NodeUnpublishVolumeRequest, forward func(*csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error)) (*csi.NodeUnpublishVolumeResponse, error) {
			a, err := forward(r)
			if err != nil {
				return nil, err
			}
			if err := os.Remove(file(r.TargetPath)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			return a, nil
		}),
	}
}

// unmount has the driver unmount the volumes that [remembered] knows. That it cannot remove the memory of an inline one, which
// a container still uses, does not matter.
func unmount(ctx context.Context, dir string, driver csi.NodeClient) error {
	files, err := filepath.Glob(filepath.Join(dir, mountedAt+"*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		id, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		path, err := url.PathUnescape(strings.TrimPrefix(filepath.Base(file), mountedAt))
		if err != nil {
			return err
		}
		_, err = driver.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: string(id), TargetPath: path},
			grpc.WaitForReady(true), grpc.ForceCodecV2(encoding.GetCodecV2(encodedproto.Name)))
		fmt.Fprintf(os.Stderr, "lying-driver: volume %s unmounted from %s: %v\n", id, path, err)
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}
