// Package nodeshell runs commands on a node through a port of its virtual
// machine: no network, no keys, nothing of Kubernetes. It uses the standard
// library only, because a part of it is built into the node.
package nodeshell

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// kind tells what a frame holds.
type kind byte

const (
	// From the host to the node.
	kindRequest  kind = iota + 1 // a request, as JSON; the first of a session
	kindInput                    // of the command
	kindInputEnd                 // there is no more
	kindResize                   // the terminal's new Size, as JSON

	// From the node to the host.
	kindOutput // of the command, or of its terminal
	kindErrors // of the command, without a terminal
	kindEnd    // an ending, as JSON; the last of a session
)

// maxFrame bounds what one side has to hold of the other's words.
const maxFrame = 1 << 20

// request begins a session.
type request struct {
	// Token is what the node answers first. What precedes it belongs to an
	// earlier session.
	Token string `json:"token"`
	// Args are the command, or one line for the shell if there is one of them,
	// or none for the shell itself.
	Args []string `json:"args,omitempty"`
	// Term names the type of the terminal, empty for none.
	Term string `json:"term,omitempty"`
	Size Size   `json:"size"`
}

// Size is that of a terminal.
type Size struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

// ending is how a command ended.
type ending struct {
	Code int `json:"code"`
	// Trouble says why the command did not run.
	Trouble string `json:"trouble,omitempty"`
}

// frames writes frames of several goroutines to one stream.
type frames struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frames) write(k kind, payload []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	frame := make([]byte, 5, 5+len(payload))
	frame[0] = byte(k)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := f.w.Write(append(frame, payload...))
	return err
}

// of is a writer each of whose writes becomes a frame.
func (f *frames) of(k kind) io.Writer { return frameWriter{f, k} }

type frameWriter struct {
	frames *frames
	kind   kind
}

func (w frameWriter) Write(data []byte) (int, error) {
	for written := 0; ; {
		part := data[written:min(len(data), written+maxFrame)]
		if err := w.frames.write(w.kind, part); err != nil {
			return written, err
		}
		if written += len(part); written == len(data) {
			return written, nil
		}
	}
}

func readFrame(r io.Reader) (kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes, more than %d", size, maxFrame)
	}
	payload := make([]byte, size)
	_, err := io.ReadFull(r, payload)
	return kind(head[0]), payload, err
}
