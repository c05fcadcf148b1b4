// Package manifests holds the kustomizations that run memcached on volumes of
// PMEM-CSI.
package manifests

import "embed"

// FS has the bases ephemeral and persistent, the components, and the bases with xfs,
// with the paths that they have in this directory.
//
//go:embed ephemeral persistent components xfs
var FS embed.FS
