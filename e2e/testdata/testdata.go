// Package testdata holds the kustomizations that specs deploy in addition to those of
// the user.
package testdata

import "embed"

// FS has them with the paths that they have in this directory.
//
//go:embed customised deprecated renamed resized
var FS embed.FS
