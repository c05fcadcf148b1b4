package wait

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Name is a kind of wait. It decides the limit, which can be scaled by name.
type Name string

// Every wait of this project has one of these names.
const (
	DeploymentReady   Name = "deployment-ready"
	ScaledDown        Name = "scaled-down"
	ObjectsGone       Name = "objects-gone"
	PodsGone          Name = "pods-gone"
	ClaimsGone        Name = "claims-gone"
	NamespaceReady    Name = "namespace-ready"
	NamespaceGone     Name = "namespace-gone"
	PodRuns           Name = "pod-runs"
	PodEnds           Name = "pod-ends"
	PodGone           Name = "pod-gone"
	VolumeFreed       Name = "volume-freed"
	EndpointReady     Name = "endpoint-ready"
	Downtime          Name = "downtime"
	EventSeen         Name = "event-seen"
	RestartedInPod    Name = "restarted-in-pod"
	ClaimBound        Name = "claim-bound"
	CapacityPublished Name = "capacity-told"
	NoLeaks           Name = "nothing-left"
	DriverReady       Name = "driver-ready"
	Listing           Name = "listing"
	ItemExpires       Name = "item-expires"
	PodReplaced       Name = "pod-replaced"
	MemcachedUp       Name = "memcached-up"
	MemcachedDown     Name = "memcached-down"
	MemcachedAnswers  Name = "memcached-answers"
	MemcachedEnded    Name = "memcached-ended"
	NodeCordoned      Name = "node-cordoned"
	Forwarded         Name = "forwarded"
	LoadReady         Name = "load-ready"
	LoadStored        Name = "load-stored"
	LoadEnds          Name = "load-ends"
	LoadGone          Name = "load-gone"

	LabAPI     Name = "lab-api"
	LabNode    Name = "lab-node"
	LabDriver  Name = "lab-driver"
	LabDNS     Name = "lab-dns"
	LabBuilder Name = "lab-builder"

	LabStart    Name = "lab-start"
	LabShutdown Name = "lab-shutdown"
	LabLock     Name = "lab-lock"
	LabShell    Name = "lab-shell"

	LabFrozen Name = "lab-frozen"
	LabAwake  Name = "lab-awake"

	KindEnded Name = "kind-ended"
	KindHost  Name = "kind-host"
)

type limit struct {
	limit time.Duration
	doc   string
}

// limits are generous: a machine without hardware virtualisation is several
// times slower than others.
var limits = map[Name]limit{
	DeploymentReady:   {3 * time.Minute, "a workload to have all its pods Ready"},
	ScaledDown:        {3 * time.Minute, "the pods of a workload that was scaled to be gone"},
	ObjectsGone:       {2 * time.Minute, "the objects of a deployment to be removed"},
	PodsGone:          {2 * time.Minute, "the pods of a removed workload to be gone"},
	ClaimsGone:        {2 * time.Minute, "claims and their volumes to be removed"},
	NamespaceReady:    {time.Minute, "the default service account of a new namespace"},
	NamespaceGone:     {2 * time.Minute, "a namespace to be removed"},
	PodRuns:           {2 * time.Minute, "a single pod to run"},
	PodEnds:           {2 * time.Minute, "a single pod to end"},
	PodGone:           {time.Minute, "a single pod to be removed"},
	VolumeFreed:       {2 * time.Minute, "the driver to remove a volume whose user is gone"},
	EndpointReady:     {time.Minute, "a Service to have the right endpoints"},
	Downtime:          {time.Minute, "the wall clock to move on, so that a restart can be warm"},
	EventSeen:         {time.Minute, "an event that reports a refusal"},
	RestartedInPod:    {time.Minute, "a container that has ended to be Ready again in its pod"},
	ClaimBound:        {time.Minute, "a claim to be bound, or refused"},
	CapacityPublished: {3 * time.Minute, "the published capacity to follow volumes, which it does once a minute at least"},
	NoLeaks:           {time.Minute, "the cluster to look as before the spec"},
	DriverReady:       {time.Minute, "PMEM-CSI to be Ready on its nodes, before anything is asked of it"},
	Listing:           {time.Minute, "memcached's crawler to list all items, which it does not while it is busy"},
	ItemExpires:       {3 * time.Minute, "the time at which an item or a delayed flush_all is due"},
	PodReplaced:       {2 * time.Minute, "the controller of a deleted pod to make another one"},
	MemcachedUp:       {time.Minute, "a memcached to listen whose pod has no readiness probe, or that a spec started"},
	MemcachedDown:     {time.Minute, "a memcached that was signalled to stop, or killed, to end"},
	MemcachedAnswers:  {time.Minute, "memcached to answer one request"},
	MemcachedEnded:    {10 * time.Second, "the kubelet to report that memcached has ended, after a load that failed"},
	NodeCordoned:      {time.Minute, "the scheduler to place no pod on a node that was cordoned"},
	Forwarded:         {30 * time.Second, "a port-forward to reach its pod"},

	LoadReady:  {2 * time.Minute, "load clients in pods to take orders"},
	LoadStored: {5 * time.Minute, "load clients to connect and to store their keys"},
	LoadEnds:   {time.Minute, "load clients to report their results, beyond the time of the load"},
	LoadGone:   {time.Minute, "the Job of load clients to come to its end"},

	LabAPI:     {time.Minute, "the API server of the lab to answer"},
	LabNode:    {5 * time.Minute, "the lab's node to be Ready"},
	LabDriver:  {5 * time.Minute, "PMEM-CSI to offer the node's persistent memory"},
	LabDNS:     {2 * time.Minute, "the lab's DNS to be ready"},
	LabBuilder: {30 * time.Second, "containerd to answer while images are imported"},

	LabStart:    {5 * time.Second, "a program of the lab that was just started to be there"},
	LabShutdown: {2 * time.Minute, "a node of the lab to shut down"},
	LabLock:     {10 * time.Second, "another command to finish with the lab"},
	LabShell:    {15 * time.Second, "a node of the lab to answer on its port for shells"},

	LabFrozen: {time.Minute, "a node of the lab to be written into a snapshot, or read from one"},
	LabAwake:  {2 * time.Minute, "the programs of a node that came from a snapshot to answer"},

	KindEnded: {2 * time.Minute, "a kind cluster to end what it is doing, so that it can be removed"},
	KindHost:  {5 * time.Minute, "a virtual machine with a container engine to boot"},
}

// Names lists the names of all waits, sorted.
func Names() []Name {
	names := make([]Name, 0, len(limits))
	for name := range limits {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Default returns the limit of a kind of wait at scale 1, and what is awaited.
func Default(name Name) (limit time.Duration, doc string) {
	l := limits[name]
	return l.limit, l.doc
}

// Bounds of a factor.
const (
	MinScale = 0.1
	MaxScale = 100
)

// Scale stretches limits, for all waits and for some of them. The zero value
// leaves them as they are.
type Scale struct {
	All    float64          // 0 means 1
	ByName map[Name]float64 // in place of All
}

// ParseScale reads a factor for all waits and factors by name, separated by
// commas, such as "2" or "2,deployment-ready=3".
func ParseScale(text string) (Scale, error) {
	var s Scale
	var errs []error
	for part := range strings.SplitSeq(text, ",") {
		name, value, named := strings.Cut(strings.TrimSpace(part), "=")
		if !named {
			name, value = "", name
		}
		factor, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(factor) || factor < MinScale || factor > MaxScale {
			errs = append(errs, fmt.Errorf("%q is no factor; give a number from %g to %g", value, MinScale, float64(MaxScale)))
			continue
		}
		switch _, known := limits[Name(name)]; {
		case !named && s.All != 0:
			errs = append(errs, fmt.Errorf("%q is a second factor for all waits; give one, and others by name", value))
		case !named:
			s.All = factor
		case !known:
			errs = append(errs, fmt.Errorf("%q is no wait; there are %s", name, list(Names())))
		default:
			if s.ByName == nil {
				s.ByName = map[Name]float64{}
			}
			if _, twice := s.ByName[Name(name)]; twice {
				errs = append(errs, fmt.Errorf("%q is given twice", name))
			}
			s.ByName[Name(name)] = factor
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Scale{}, err
	}
	return s, nil
}

func list(names []Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// String is what ParseScale reads.
func (s Scale) String() string {
	parts := []string{format(s.all())}
	for _, name := range Names() {
		if factor, ok := s.ByName[name]; ok {
			parts = append(parts, string(name)+"="+format(factor))
		}
	}
	return strings.Join(parts, ",")
}

func format(factor float64) string { return strconv.FormatFloat(factor, 'g', -1, 64) }

func (s Scale) all() float64 {
	if s.All == 0 {
		return 1
	}
	return s.All
}

// Of is the factor for a kind of wait.
func (s Scale) Of(name Name) float64 {
	if factor, ok := s.ByName[name]; ok {
		return factor
	}
	return s.all()
}

// Max is the highest factor, for what has to outlast several waits.
func (s Scale) Max() float64 {
	highest := s.all()
	for _, factor := range s.ByName {
		highest = max(highest, factor)
	}
	return highest
}
