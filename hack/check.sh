#!/bin/sh
# Checks the form of the project: format, vet, staticcheck, shellcheck.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%-12s %s\n' "$1" "$2"; }

unformatted=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 -r gofmt -l)
if [ -n "$unformatted" ]; then
	echo "check.sh: gofmt would change these files, run gofmt -w on them:" >&2
	echo "$unformatted" >&2
	exit 1
fi
say gofmt ok

# The tag adds the tests that need virtual machines.
go vet -tags vm ./...
say vet ok

go tool -modfile=hack/tools/go.mod staticcheck -tags vm ./...
say staticcheck ok

# Older versions find less.
least=0.9.0
shellcheck=$(shellcheck --version | sed -n 's/^version: //p')
if [ "$(printf '%s\n' "$least" "$shellcheck" | sort -V | head -n 1)" != "$least" ]; then
	echo "check.sh: shellcheck is ${shellcheck:-missing or of an unknown version}, want $least or newer; Debian has it since bookworm" >&2
	exit 1
fi
git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 -r shellcheck
say shellcheck "ok ($shellcheck)"
