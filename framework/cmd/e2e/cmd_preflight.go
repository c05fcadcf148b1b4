package main

import "github.com/spf13/cobra"

// newPreflight returns nil until there is such a command.
func newPreflight() *cobra.Command { return nil }
