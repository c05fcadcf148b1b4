package main

import (
	"io"

	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// relay passes the progress and the waits of what brings a cluster up on to whoever
// asked for them last.
type relay struct {
	out     progress.Writer
	observe func(wait.Record)
}

func newRelay() relay {
	return relay{out: progress.Lines(io.Discard), observe: func(wait.Record) {}}
}

// Write implements progress.Writer.
func (r *relay) Write(line []byte) (int, error) { return r.out.Write(line) }

// Doing implements progress.Writer.
func (r *relay) Doing(what func() string) { r.out.Doing(what) }
