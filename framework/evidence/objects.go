package evidence

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/describe"
	"sigs.k8s.io/yaml"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/oneline"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func core(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: resource}
}

func grouped(group, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
}

var (
	namespaced = []schema.GroupVersionResource{
		core("pods"), core("services"), core("configmaps"), core("secrets"), core("serviceaccounts"),
		core("persistentvolumeclaims"), core("resourcequotas"), core("limitranges"),
		grouped("discovery.k8s.io", "endpointslices"),
		grouped("apps", "deployments"), grouped("apps", "replicasets"), grouped("apps", "statefulsets"),
		grouped("apps", "daemonsets"), grouped("apps", "controllerrevisions"),
		grouped("batch", "jobs"), grouped("batch", "cronjobs"),
		grouped("policy", "poddisruptionbudgets"), grouped("networking.k8s.io", "networkpolicies"),
		grouped("rbac.authorization.k8s.io", "roles"), grouped("rbac.authorization.k8s.io", "rolebindings"),
	}
	withSecrets = []schema.GroupVersionResource{
		core("secrets"), core("configmaps"), core("pods"), grouped("apps", "deployments"), grouped("apps", "statefulsets"),
	}
	ofDriver = []schema.GroupVersionResource{
		core("pods"), grouped("apps", "daemonsets"), grouped("apps", "deployments"),
		grouped("storage.k8s.io", "csistoragecapacities"),
	}
	clusterScoped = []schema.GroupVersionResource{
		core("nodes"), core("namespaces"), core("persistentvolumes"),
		grouped("storage.k8s.io", "storageclasses"), grouped("storage.k8s.io", "csidrivers"),
		grouped("storage.k8s.io", "csinodes"), grouped("storage.k8s.io", "volumeattachments"),
	}

	describedInNamespace = []describable{
		{core("pods"), "Pod"}, {core("services"), "Service"}, {core("persistentvolumeclaims"), "PersistentVolumeClaim"},
		{grouped("apps", "deployments"), "Deployment"}, {grouped("apps", "statefulsets"), "StatefulSet"},
	}
	describedOfDriver  = []describable{{core("pods"), "Pod"}, {grouped("apps", "daemonsets"), "DaemonSet"}}
	describedInCluster = []describable{{core("nodes"), "Node"}, {core("persistentvolumes"), "PersistentVolume"}}
)

type describable struct {
	resource schema.GroupVersionResource
	kind     string
}

func under(ns, path string) string {
	if ns == "" {
		return "cluster/" + path
	}
	return ns + "/" + path
}

func (c *collector) list(ctx context.Context, ns string, resource schema.GroupVersionResource) ([]unstructured.Unstructured, error) {
	list, err := c.dynamic.Resource(resource).Namespace(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func (c *collector) objects(ctx context.Context, ns string, resources []schema.GroupVersionResource) {
	for _, resource := range resources {
		c.step(ctx, under(ns, "objects/"+resource.Resource+".yaml"), func(ctx context.Context) (string, error) {
			items, err := c.list(ctx, ns, resource)
			if err != nil {
				return "", err
			}
			var b strings.Builder
			for i := range items {
				withoutNoise(&items[i])
				text, err := yaml.Marshal(c.secrets.Object(items[i].Object))
				if err != nil {
					return b.String(), fmt.Errorf("%s: %w", items[i].GetName(), err)
				}
				fmt.Fprintf(&b, "---\n%s", text)
			}
			return b.String(), nil
		})
	}
}

// withoutNoise removes what nobody reads.
func withoutNoise(o *unstructured.Unstructured) {
	o.SetManagedFields(nil)
	annotations := o.GetAnnotations()
	if _, ok := annotations[lastApplied]; ok {
		delete(annotations, lastApplied)
		o.SetAnnotations(annotations)
	}
}

// learn reads the objects of a namespace that have secrets, before anything is written.
func (c *collector) learn(ctx context.Context, ns string) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var objects []map[string]any
	for _, resource := range withSecrets {
		items, err := c.list(ctx, ns, resource)
		if err != nil {
			c.miss(under(ns, "secrets of "+resource.Resource), err)
		}
		for _, item := range items {
			objects = append(objects, item.Object)
		}
	}
	c.secrets.LearnObjects(objects...)
}

func (c *collector) describe(ctx context.Context, ns string, kinds []describable) {
	config := rest.CopyConfig(c.cluster.Config)
	config.Timeout = stepLimit // describers take no context
	for _, d := range kinds {
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		items, err := c.list(limited, ns, d.resource)
		cancel()
		if err != nil {
			c.miss(under(ns, "describe/"+d.resource.Resource), err)
			continue
		}
		describer, ok := describe.DescriberFor(schema.GroupKind{Group: d.resource.Group, Kind: d.kind}, config)
		if !ok {
			c.miss(under(ns, "describe/"+d.resource.Resource), fmt.Errorf("no way to describe a %s", d.kind))
			continue
		}
		for _, item := range items {
			path := under(ns, "describe/"+strings.ToLower(d.kind)+"_"+item.GetName()+".txt")
			c.step(ctx, path, func(ctx context.Context) (string, error) {
				if err := ctx.Err(); err != nil {
					return "", err
				}
				return describer.Describe(ns, item.GetName(), describe.DescriberSettings{ShowEvents: true, ChunkSize: 500})
			})
		}
	}
}

func (c *collector) events(ctx context.Context, ns string) {
	c.step(ctx, under(ns, "events.txt"), func(ctx context.Context) (string, error) {
		list, err := c.cluster.Client.CoreV1().Events(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", err
		}
		if len(list.Items) == 0 {
			return "no events\n", nil
		}
		return eventTable(list.Items), nil
	})
}

func eventTable(events []corev1.Event) string {
	slices.SortStableFunc(events, func(a, b corev1.Event) int {
		return cmp.Compare(cluster.LastSeen(a).UnixNano(), cluster.LastSeen(b).UnixNano())
	})
	var b strings.Builder
	for _, e := range events {
		source := e.Source.Component
		if source == "" {
			source = e.ReportingController
		}
		times := e.Count
		if e.Series != nil {
			times = max(times, e.Series.Count)
		}
		fmt.Fprintf(&b, "%s %-7s %s %s/%s (%s, %d times): %s\n", cluster.LastSeen(e).UTC().Format(time.RFC3339), e.Type, e.Reason,
			e.InvolvedObject.Kind, e.InvolvedObject.Name, source, max(1, times), oneline.Words(e.Message))
	}
	return b.String()
}
