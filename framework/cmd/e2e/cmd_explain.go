package main

import "github.com/spf13/cobra"

// newExplain returns nil until there is such a command.
func newExplain() *cobra.Command { return nil }
