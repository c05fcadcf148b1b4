package liar

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	lineEnd     = "\r\n"
	longestLine = 8 << 10
	longestData = 64 << 20
)

// A request is a command with its data.
type request struct {
	fields []string // of the line: the command and its arguments
	line   string   // as it came; used if fields is nil
	data   []byte   // with its line end; nil: the command has none
}

func (r *request) verb() string {
	if len(r.fields) == 0 {
		return ""
	}
	return r.fields[0]
}

// key is that of a command with one key.
func (r *request) key() string {
	if len(r.fields) < 2 {
		return ""
	}
	return r.fields[1]
}

// flag is the index of the flag of a meta command that begins with letter, after the key; below 0: it has none.
func (r *request) flag(letter string) int {
	for i, field := range r.fields {
		if i > 1 && strings.HasPrefix(field, letter) {
			return i
		}
	}
	return -1
}

// expire has a meta command set the time, in seconds, after which its item expires.
func (r *request) expire(seconds string) {
	if at := r.flag("T"); at >= 0 {
		r.fields = slices.Delete(r.fields, at, at+1)
	}
	r.fields = append(r.fields, "T"+seconds)
}

func (r *request) bytes() []byte {
	line := r.line
	if r.fields != nil {
		line = strings.Join(r.fields, " ")
	}
	return append([]byte(line+lineEnd), r.data...)
}

// dumps reports whether the request lists items.
func (r *request) dumps() bool {
	return r.verb() == "lru_crawler" && len(r.fields) > 1 && r.fields[1] == "metadump"
}

// sizeAt is the field with the length of the data that follows a command.
var sizeAt = map[string]int{"set": 4, "add": 4, "replace": 4, "append": 4, "prepend": 4, "cas": 4, "ms": 2}

// readRequest reads a command. One that is malformed has no fields, and is passed on as it came.
func readRequest(in *bufio.Reader) (*request, error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	r := &request{line: line, fields: strings.Fields(line)}
	if line != strings.Join(r.fields, " ") || len(r.fields) == 0 {
		r.fields = nil
		return r, nil
	}
	at, stores := sizeAt[r.verb()]
	if !stores {
		return r, nil
	}
	size := -1
	if at < len(r.fields) {
		if n, err := strconv.Atoi(r.fields[at]); err == nil && n <= longestData {
			size = n
		}
	}
	if size < 0 {
		r.fields = nil
		return r, nil
	}
	r.data = make([]byte, size+len(lineEnd))
	if _, err := io.ReadFull(in, r.data); err != nil {
		return nil, fmt.Errorf("data of %.80q: %w", line, err)
	}
	if !bytes.HasSuffix(r.data, []byte(lineEnd)) {
		rest, err := readLine(in)
		if err != nil {
			return nil, err
		}
		r.fields, r.data = nil, append(r.data, rest+lineEnd...)
	}
	return r, nil
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	if len(line) > longestLine {
		return "", fmt.Errorf("a line of %d bytes", len(line))
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// A part of an answer is a line, and the value that follows it.
type part struct {
	fields []string
	value  []byte // without its line end; nil: the line has none
}

// readPart reads a line of an answer, doc/protocol.txt of memcached 1.6.38.
func readPart(in *bufio.Reader) (*part, error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	p := &part{fields: strings.Split(line, " ")}
	at := p.sizeAt()
	if at < 0 {
		return p, nil
	}
	size, err := strconv.Atoi(p.fields[at])
	if err != nil || size < 0 || size > longestData {
		return nil, fmt.Errorf("answer %.80q has no length", line)
	}
	data := make([]byte, size+len(lineEnd))
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, fmt.Errorf("value of %.80q: %w", line, err)
	}
	p.value = data[:size]
	return p, nil
}

// sizeAt is the field with the length of the value; below 0: there is no value.
func (p *part) sizeAt() int {
	switch {
	case p.fields[0] == "VALUE" && len(p.fields) >= 4:
		return 3
	case p.fields[0] == "VA" && len(p.fields) >= 2:
		return 1
	}
	return -1
}

// endsDump reports whether the part is the last one of a list of items. Since a release between 1.6.38 and 1.6.45 the first one is OK.
func (p *part) endsDump() bool { return !p.is("OK") && !strings.HasPrefix(p.fields[0], "key=") }

// set replaces the value.
func (p *part) set(value []byte) {
	p.value = value
	p.fields[p.sizeAt()] = strconv.Itoa(len(value))
}

// is reports whether the part is that line.
func (p *part) is(line string) bool { return len(p.fields) == 1 && p.fields[0] == line }

func (p *part) bytes() []byte {
	b := []byte(strings.Join(p.fields, " ") + lineEnd)
	if p.value != nil {
		b = append(append(b, p.value...), lineEnd...)
	}
	return b
}
