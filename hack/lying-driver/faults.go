package main

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// faithful is the control: nothing is wrong.
const faithful = "none"

// fault changes some calls.
type fault struct {
	what string
	// start makes the changes, by method. What they remember is theirs, except for files in dir, which outlives this program.
	start func(dir string) map[string]change
	// first, unless it is nil, comes before the first call.
	first func(ctx context.Context, dir string, driver csi.NodeClient) error
}

// change answers a call, for which it may forward it, too.
type change func(request []byte, forward func([]byte) ([]byte, error)) ([]byte, error)

// Parameters of PMEM-CSI's volumes (its documentation, "Storage class parameters").
const (
	usage      = "usage"
	fileIO     = "FileIO"
	eraseAfter = "eraseafter"
	size       = "size" // of an inline volume
	inline     = "csi.storage.k8s.io/ephemeral"

	smallest = "48Mi" // of a volume that memcached can use
)

func names() []string { return slices.Sorted(maps.Keys(faults)) }

// faults are the kinds of fault by their names.
var faults = map[string]fault{
	faithful: {what: "nothing is wrong", start: always(nil)},
	"ignores-usage": {what: "volumes for FileIO have the dax option, too", start: always(volumes(func(parameters map[string]string) {
		delete(parameters, usage)
	}))},
	"never-dax": {what: "no volume has the dax option", start: always(volumes(func(parameters map[string]string) {
		parameters[usage] = fileIO
	}))},
	"keeps-content": {what: "the memory of a deleted volume is not overwritten", start: always(volumes(func(parameters map[string]string) {
		parameters[eraseAfter] = "false"
	}))},
	"smaller-volumes": {what: "volumes have half of the size that they are said to have", start: always(sizes(50))},
	"larger-volumes":  {what: "volumes have twice the size that they are said to have", start: always(sizes(200))},
	"default-size": {what: "an inline volume without a size gets 64 MiB", start: always(map[string]change{
		csi.Node_NodePublishVolume_FullMethodName: request(func(r *csi.NodePublishVolumeRequest) {
			if r.VolumeContext[inline] == "true" && r.VolumeContext[size] == "" {
				r.VolumeContext[size] = "64Mi"
			}
		}),
	})},
	"shrinks-to-fit": {what: "an inline volume for which there is no room is made smaller", start: always(map[string]change{
		csi.Node_NodePublishVolume_FullMethodName: asked(func(r *csi.NodePublishVolumeRequest, forward func(*csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error)) (*csi.NodePublishVolumeResponse, error) {
			a, err := forward(r)
			if r.VolumeContext[inline] != "true" || status.Code(err) != codes.ResourceExhausted {
				return a, err
			}
			r.VolumeContext[size] = smallest
			return forward(r)
		}),
	})},
	"takes-any-parameter": {what: "parameters that the driver does not know, or that exclude each other, are not refused", start: always(volumes(func(parameters map[string]string) {
		maps.DeleteFunc(parameters, func(name, _ string) bool {
			return !strings.HasPrefix(name, "csi.storage.k8s.io/") && name != size
		})
		if parameters[inline] != "true" {
			delete(parameters, size)
		}
	}))},
	"refuses-usage": {what: "a class that says what its volumes are for is refused", start: always(map[string]change{
		csi.Controller_CreateVolume_FullMethodName: asked(func(r *csi.CreateVolumeRequest, forward func(*csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error)) (*csi.CreateVolumeResponse, error) {
			if r.Parameters[usage] != "" {
				return nil, status.Errorf(codes.InvalidArgument, "parameter %q is unknown", usage)
			}
			return forward(r)
		}),
	})},
	"ext4-always":     {what: "a volume has ext4 although xfs was asked for", start: always(filesystems(func(string) string { return "ext4" }))},
	"any-filesystem":  {what: "a filesystem that is not supported is not refused", start: always(filesystems(supported))},
	"frozen-capacity": {what: "the free memory is that of the beginning", start: frozenCapacity},
	"double-capacity": {what: "the free memory is twice as much as there is", start: always(map[string]change{
		csi.Controller_GetCapacity_FullMethodName: answer(func(a *csi.GetCapacityResponse) { a.AvailableCapacity *= 2 }),
	})},
	"forgets-delete": {what: "a deleted volume remains", start: always(map[string]change{
		csi.Controller_DeleteVolume_FullMethodName: done(&csi.DeleteVolumeResponse{}),
	})},
	"forgets-unpublish": {what: "a volume remains mounted in a pod that has ended", start: always(map[string]change{
		csi.Node_NodeUnpublishVolume_FullMethodName: done(&csi.NodeUnpublishVolumeResponse{}),
	})},
	"same-volume": {what: "all claims of a size get the same volume", start: sameVolume},
	"no-topology": {what: "a volume is said to be on every node", start: always(map[string]change{
		csi.Controller_CreateVolume_FullMethodName: answer(func(a *csi.CreateVolumeResponse) { a.Volume.AccessibleTopology = nil }),
	})},
	"unmounts-volumes": {what: "a restart of the driver unmounts the volumes in use", start: remembered, first: unmount},
	"loses-volumes":    {what: "a volume that is mounted again after a restart of the driver is another, empty one", start: substituted},
}

// always starts changes that remember nothing.
func always(calls map[string]change) func(string) map[string]change {
	return func(string) map[string]change { return calls }
}

// message is a generated type of CSI.
type message[T any] interface {
	*T
	proto.Message
}

// asked makes a change of one on decoded messages.
func asked[Q, A any, PQ message[Q], PA message[A]](do func(r PQ, forward func(PQ) (PA, error)) (PA, error)) change {
	return func(request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		r := PQ(new(Q))
		if err := proto.Unmarshal(request, r); err != nil {
			return nil, err
		}
		a, err := do(r, func(r PQ) (PA, error) {
			request, err := proto.Marshal(r)
			if err != nil {
				return nil, err
			}
			answered, err := forward(request)
			if err != nil {
				return nil, err
			}
			a := PA(new(A))
			return a, proto.Unmarshal(answered, a)
		})
		if err != nil {
			return nil, err
		}
		return proto.Marshal(a)
	}
}

// request changes what is asked.
func request[Q any, PQ message[Q]](edit func(PQ)) change {
	return func(request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		r := PQ(new(Q))
		if err := proto.Unmarshal(request, r); err != nil {
			return nil, err
		}
		edit(r)
		changed, err := proto.Marshal(r)
		if err != nil {
			return nil, err
		}
		return forward(changed)
	}
}

// answer changes what is answered.
func answer[A any, PA message[A]](edit func(PA)) change {
	return func(request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		answered, err := forward(request)
		if err != nil {
			return nil, err
		}
		a := PA(new(A))
		if err := proto.Unmarshal(answered, a); err != nil {
			return nil, err
		}
		edit(a)
		return proto.Marshal(a)
	}
}

// done answers that a call has succeeded and does nothing.
func done(a proto.Message) change {
	return func([]byte, func([]byte) ([]byte, error)) ([]byte, error) { return proto.Marshal(a) }
}

// volumes changes the parameters of volumes that are made for a claim, and of inline ones.
func volumes(edit func(parameters map[string]string)) map[string]change {
	return map[string]change{
		csi.Controller_CreateVolume_FullMethodName: request(func(r *csi.CreateVolumeRequest) {
			if r.Parameters == nil {
				r.Parameters = map[string]string{}
			}
			edit(r.Parameters)
		}),
		csi.Node_NodePublishVolume_FullMethodName: request(func(r *csi.NodePublishVolumeRequest) {
			if r.VolumeContext[inline] == "true" {
				edit(r.VolumeContext)
			}
		}),
	}
}

// sizes gives volumes a share of the size that they are said to have, in percent.
func sizes(share int64) map[string]change {
	return map[string]change{
		csi.Controller_CreateVolume_FullMethodName: asked(func(r *csi.CreateVolumeRequest, forward func(*csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error)) (*csi.CreateVolumeResponse, error) {
			wanted := r.GetCapacityRange().GetRequiredBytes()
			if r.CapacityRange != nil {
				r.CapacityRange.RequiredBytes = wanted * share / 100
			}
			a, err := forward(r)
			if err == nil {
				a.Volume.CapacityBytes = wanted
			}
			return a, err
		}),
		csi.Node_NodePublishVolume_FullMethodName: request(func(r *csi.NodePublishVolumeRequest) {
			if r.VolumeContext[inline] == "true" {
				r.VolumeContext[size] = percent(r.VolumeContext[size], share)
			}
		}),
	}
}

// filesystems changes the filesystem that is asked for.
func filesystems(choose func(string) string) map[string]change {
	edit := func(capabilities ...*csi.VolumeCapability) {
		for _, c := range capabilities {
			if m := c.GetMount(); m != nil {
				m.FsType = choose(m.FsType)
			}
		}
	}
	return map[string]change{
		csi.Controller_CreateVolume_FullMethodName: request(func(r *csi.CreateVolumeRequest) { edit(r.VolumeCapabilities...) }),
		csi.Node_NodeStageVolume_FullMethodName:    request(func(r *csi.NodeStageVolumeRequest) { edit(r.VolumeCapability) }),
		csi.Node_NodePublishVolume_FullMethodName:  request(func(r *csi.NodePublishVolumeRequest) { edit(r.VolumeCapability) }),
	}
}

// supported is a filesystem that PMEM-CSI supports in place of one that it refuses.
func supported(filesystem string) string {
	switch filesystem {
	case "", "ext4", "xfs":
		return filesystem
	}
	return "ext4"
}

// frozenCapacity answers each request as the first time.
func frozenCapacity(string) map[string]change {
	var mu sync.Mutex
	answers := map[string][]byte{}
	return map[string]change{csi.Controller_GetCapacity_FullMethodName: func(request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if a, ok := answers[string(request)]; ok {
			return a, nil
		}
		a, err := forward(request)
		if err == nil {
			answers[string(request)] = a
		}
		return a, err
	}}
}

// sameVolume answers with the volume that the first claim of that size got.
func sameVolume(string) map[string]change {
	var mu sync.Mutex
	volumes := map[int64]*csi.CreateVolumeResponse{}
	return map[string]change{csi.Controller_CreateVolume_FullMethodName: asked(func(r *csi.CreateVolumeRequest, forward func(*csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error)) (*csi.CreateVolumeResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		wanted := r.GetCapacityRange().GetRequiredBytes()
		if a := volumes[wanted]; a != nil {
			return a, nil
		}
		a, err := forward(r)
		if err == nil {
			volumes[wanted] = a
		}
		return a, err
	})}
}

// percent is a share of a quantity such as 200Mi.
func percent(quantity string, share int64) string {
	digits := strings.TrimRight(quantity, "KMGTikB")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return quantity
	}
	return strconv.FormatInt(n*share/100, 10) + quantity[len(digits):]
}

// substituted makes a second volume for each one. Once this program has been started again, the second one is staged in
// place of the first; one that is staged already stays until it is unstaged.
func substituted(dir string) map[string]change {
	s := &substitutes{dir: dir, made: map[string]bool{}}
	return map[string]change{
		csi.Controller_CreateVolume_FullMethodName:  asked(s.create),
		csi.Controller_DeleteVolume_FullMethodName:  asked(s.delete),
		csi.Node_NodeStageVolume_FullMethodName:     asked(s.stage),
		csi.Node_NodeUnstageVolume_FullMethodName:   request(func(r *csi.NodeUnstageVolumeRequest) { r.VolumeId = s.staged(r.VolumeId) }),
		csi.Node_NodePublishVolume_FullMethodName:   request(func(r *csi.NodePublishVolumeRequest) { r.VolumeId = s.staged(r.VolumeId) }),
		csi.Node_NodeUnpublishVolume_FullMethodName: request(func(r *csi.NodeUnpublishVolumeRequest) { r.VolumeId = s.staged(r.VolumeId) }),
	}
}

// substitutes has a file in dir for each volume, with the id of its second one. Its name says which of the two is staged.
type substitutes struct {
	dir  string
	mu   sync.Mutex
	made map[string]bool // by this process
}

func (s *substitutes) file(id string, second bool) string {
	prefix := "second-of-"
	if second {
		prefix = "in-place-of-"
	}
	return filepath.Join(s.dir, prefix+url.PathEscape(id))
}

func (s *substitutes) create(r *csi.CreateVolumeRequest, forward func(*csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error)) (*csi.CreateVolumeResponse, error) {
	first, err := forward(r)
	if err != nil {
		return nil, err
	}
	r.Name += "-second"
	second, err := forward(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[first.Volume.VolumeId] = true
	return first, os.WriteFile(s.file(first.Volume.VolumeId, false), []byte(second.Volume.VolumeId), 0o600)
}

func (s *substitutes) delete(r *csi.DeleteVolumeRequest, forward func(*csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error)) (*csi.DeleteVolumeResponse, error) {
	for _, staged := range []bool{false, true} {
		second, err := os.ReadFile(s.file(r.VolumeId, staged))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, err := forward(&csi.DeleteVolumeRequest{VolumeId: string(second)}); err != nil {
			return nil, err
		}
		if err := os.Remove(s.file(r.VolumeId, staged)); err != nil {
			return nil, err
		}
	}
	return forward(r)
}

func (s *substitutes) stage(r *csi.NodeStageVolumeRequest, forward func(*csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error)) (*csi.NodeStageVolumeResponse, error) {
	s.mu.Lock()
	made := s.made[r.VolumeId]
	s.mu.Unlock()
	if !made {
		err := os.Rename(s.file(r.VolumeId, false), s.file(r.VolumeId, true))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	r.VolumeId = s.staged(r.VolumeId)
	return forward(r)
}

// staged is the id of the volume that is staged for another one. Inline volumes are themselves.
func (s *substitutes) staged(id string) string {
	second, err := os.ReadFile(s.file(id, true))
	if err != nil {
		return id
	}
	return string(second)
}
