package main

import "github.com/spf13/cobra"

// newFacts returns nil until there is such a command.
func newFacts() *cobra.Command { return nil }
