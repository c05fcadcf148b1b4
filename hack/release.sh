#!/bin/sh
# Writes an archive for each architecture into a directory, and the digests of
# all: the program, the load clients for pods, the manifests, PMEM-CSI's YAML for
# kind clusters, completion.
#   release.sh DIRECTORY [ARCHITECTURE]
# The same revision and version of Go give the same bytes.
set -eu

if [ "$#" -lt 1 ] || [ "$#" -gt 2 ]; then
	echo "release.sh: want the directory for the archives, and one architecture unless both are wanted" >&2
	exit 3
fi
architectures=${2-"amd64 arm64"}
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
cd "$(dirname "$0")/.."

if [ -n "$(git status --porcelain)" ]; then
	echo "release.sh: the checkout has changes, and a release is made of a commit; commit or stash them" >&2
	exit 3
fi
revision=$(git rev-parse --short=12 HEAD)
time=$(git log -1 --format=%ct)
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT TERM

# build ARCHITECTURE PACKAGE FILE
build() {
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 GOFLAGS=-mod=readonly go build -trimpath -buildvcs=true -ldflags='-s -w -buildid=' -o "$3" "$2"
}

for arch in amd64 arm64; do
	echo "release    e2e-load-$arch"
	build "$arch" ./framework/cmd/load "$temp/e2e-load-$arch"
done
(cd hack/pmem-csi && go mod download github.com/intel/pmem-csi)
release=$(cd hack/pmem-csi && go list -m -f '{{.Dir}}' github.com/intel/pmem-csi)
pmemcsi="$release/deploy/kubernetes-1.25/pmem-csi-lvm.yaml $(echo "$release"/deploy/common/pmem-storageclass-*.yaml)"
native=$(go env GOHOSTARCH)
others=
for arch in $architectures; do
	if [ "$arch" != "$native" ]; then
		others="$others $arch"
	fi
done
rm -f "$out"/pmem-memcached-e2e-linux-*.tar.gz
mkdir "$temp/completion"
for arch in "$native" $others; do
	name=pmem-memcached-e2e-linux-$arch
	echo "release    $name"
	mkdir "$temp/$name"
	build "$arch" ./framework/cmd/e2e "$temp/$name/e2e"
	if [ "$arch" = "$native" ]; then
		for shell in bash zsh fish; do
			"$temp/$name/e2e" completion "$shell" >"$temp/completion/e2e.$shell"
		done
	fi
	cp -R "$temp/e2e-load-amd64" "$temp/e2e-load-arm64" "$temp/completion" README.md CHANGELOG.md "$temp/$name/"
	git archive HEAD manifests | tar -x -C "$temp/$name"
	find "$temp/$name/manifests" -name '*.go' -delete
	mkdir "$temp/$name/pmem-csi"
	for file in $pmemcsi; do
		cp "$file" "$temp/$name/pmem-csi/"
	done
	chmod -R u=rwX,go=rX "$temp/$name"
	tar -C "$temp" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" |
		gzip -n -9 >"$out/$name.tar.gz"
done
cd "$out"
sha256sum pmem-memcached-e2e-linux-*.tar.gz >SHA256SUMS
echo "release    revision $revision in $out"
