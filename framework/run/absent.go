package run

import (
	"context"
	"errors"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

// kustomizations are the settings that name the deployments under test, by profile.
var kustomizations = []struct {
	field   string
	profile spec.Profile
	dir     func(config.Deploy) string
}{
	{"EPHEMERAL", spec.Ephemeral, func(d config.Deploy) string { return d.Ephemeral }},
	{"PERSISTENT", spec.Persistent, func(d config.Deploy) string { return d.Persistent }},
}

// deploys reports whether a plan has specs that are to run in a profile.
func deploys(plan []spec.Planned, profile spec.Profile) bool {
	return slices.ContainsFunc(plan, func(p spec.Planned) bool { return p.Profile == profile && p.Outcome == "" })
}

// references refuses deployments whose pods would wait for an object that nobody provides, or with objects of a kind that
// the cluster does not serve. Without a cluster, which c is nil for, only claims are known to be such objects.
func (r *Runner) references(ctx context.Context, plan []spec.Planned, c client.Client) error {
	var errs []error
	for _, k := range kustomizations {
		m := r.manifests[k.profile]
		if m == nil || !deploys(plan, k.profile) {
			continue
		}
		var absent []deploy.Reference
		if c != nil {
			absent = m.Absent(ctx, c)
		} else {
			absent = slices.DeleteFunc(m.Missing(), func(r deploy.Reference) bool { return !r.Claim() })
		}
		refuse := func(err error) {
			errs = append(errs, &config.FieldError{Field: k.field, Value: k.dir(r.Config.Deploy), Remedy: err.Error()})
		}
		if len(absent) > 0 {
			refuse(&deploy.AbsenceError{Manifest: m, Absent: absent})
		}
		if c == nil {
			continue
		}
		if err := m.Served(c.RESTMapper()); err != nil {
			refuse(err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &UsageError{err}
	}
	return nil
}
