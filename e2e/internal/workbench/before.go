package workbench

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/deploy"
)

// A Blank is a memory file before memcached has ever used it; sizes in bytes, 0 for a file that is missing.
type Blank struct {
	Size, Allocated int64
}

// blank is the line that standIn and look print: size, blocks and the size of a block.
const blank = "workbench: memory file "

// look prints what the memory file $1 is.
const look = `if [ -e "$1" ]; then stat -L -c "` + blank + `%s %b %B" -- "$1"; else echo "` + blank + `0 0 1"; fi`

// standIn runs the command in its arguments from the third, and has it start a program that looks at the memory file $1 in
// place of memcached. That program is in the directory $2, in the volume, as the pod may have no other place for it.
const standIn = `file=$1 dir=$2
shift 2
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"
{
	echo "#!$(command -v sh)"
	echo 'set -- "$MEMORY_FILE_OF_WORKBENCH"'
	cat <<'END'
` + look + `
END
} >"$dir/memcached"
chmod 700 "$dir/memcached"
export MEMORY_FILE_OF_WORKBENCH="$file"
"$dir/memcached" >/dev/null || exit 126
PATH=$dir:$PATH timeout 60 "$@"`

// Blank does what precedes the start of memcached in a pod of the deployment, and returns what the memory file is then. It needs
// a volume on which memcached has not run yet.
func (w *Workbench) Blank(ctx context.Context) (Blank, error) {
	if _, err := w.prepare(ctx); err != nil {
		return Blank{}, err
	}
	b, err := parseBlank(w.Sh(ctx, look, w.File))
	if err != nil || b.Size > 0 && b.Allocated >= b.Size {
		return b, err
	}
	// What starts memcached may still make the file, or allocate it.
	dir := path.Join(path.Dir(w.File), ".workbench")
	command := w.withArgs(ctx, deploy.JoinArgs(w.given, ""), "")
	for i, word := range command {
		if path.IsAbs(word) && path.Base(word) == program {
			command[i] = path.Join(dir, program)
		}
	}
	r, err := w.e.Cluster.Exec(ctx, w.pod.Namespace, w.pod.Name, deploy.Container, slices.Concat([]string{"sh", "-c", standIn, "sh", w.File, dir}, command)...)
	if err != nil {
		return Blank{}, err
	}
	if b, err = parseBlank(r.Stdout + r.Stderr); err != nil {
		return Blank{}, fmt.Errorf("the command of the container could not be followed up to the start of memcached: exit code %d: %s", r.ExitCode, Tail(r.Stdout+r.Stderr))
	}
	return b, nil
}

const program = "memcached"

// parseBlank reads the last line that look has printed.
func parseBlank(text string) (Blank, error) {
	i := strings.LastIndex(text, blank)
	if i < 0 {
		return Blank{}, errors.New("nothing was printed about the memory file")
	}
	var b Blank
	var blocks, size int64
	if _, err := fmt.Sscanf(text[i:], blank+"%d %d %d", &b.Size, &blocks, &size); err != nil {
		return Blank{}, fmt.Errorf("unexpected output %.100q: %w", text[i:], err)
	}
	b.Allocated = blocks * size
	return b, nil
}
