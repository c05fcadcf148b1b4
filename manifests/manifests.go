// Package manifests holds the kustomizations that run memcached on volumes of
// PMEM-CSI.
package manifests

import "embed"

// FS has the bases ephemeral and persistent and the components that they use,
// with the paths that they have in this directory.
//
//go:embed ephemeral persistent components
var FS embed.FS
