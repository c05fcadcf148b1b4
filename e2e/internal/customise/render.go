package customise

import (
	"context"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

// Base renders the deployment under test as it is written, in the namespace in
// which it is written.
func Base(e *framework.Env) *deploy.Manifest { return e.Render(dir(e), "") }

func dir(e *framework.Env) string {
	if e.Spec.Profile == spec.Persistent {
		return e.Config.Deploy.Persistent
	}
	return e.Config.Deploy.Ephemeral
}

// Render renders an overlay of the deployment under test. With a namespace it is
// ready to be applied there, without one it is as kustomize renders it. The
// overlay is removed with the spec's ledger.
func Render(e *framework.Env, o Overlay, form Form, namespace string) *deploy.Manifest {
	m := e.Render(write(e, o, form), namespace)
	m.Dir = "an overlay of " + dir(e)
	return m
}

// Image is memcached's image in an overlay, as the overlay names it.
func Image(e *framework.Env, o Overlay) string {
	m, err := deploy.Load(write(e, o, Current), deploy.Changes{LoadAnyFile: e.Config.Deploy.LoadsAnyFile()})
	e.NoError(err, "render an overlay of %s", dir(e))
	return m.Image()
}

func write(e *framework.Env, o Overlay, form Form) string {
	over, err := os.MkdirTemp("", "pmem-memcached-e2e-overlay-")
	e.NoError(err, "make a directory for an overlay")
	e.Ledger.Add("directory "+over, func(context.Context) error { return os.RemoveAll(over) })
	base, err := relative(over, dir(e))
	e.NoError(err, "find the way from an overlay to %s", dir(e))
	m, err := deploy.Load(dir(e), deploy.Changes{LoadAnyFile: e.Config.Deploy.LoadsAnyFile()})
	e.NoError(err, "render %s", dir(e))
	text, err := o.Kustomization(base, m, form)
	e.NoError(err, "write an overlay of %s", dir(e))
	e.NoError(os.WriteFile(filepath.Join(over, "kustomization.yaml"), text, 0o600), "write an overlay of %s", dir(e))
	return over
}

// relative follows links first, as kustomize does.
func relative(from, to string) (string, error) {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return "", err
	}
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	if to, err = filepath.EvalSymlinks(to); err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}
