#!/bin/sh
# Installs the Debian packages that a target needs and the machine lacks:
#   packages.sh test|bench|e2e
# Without the right to install, it names them and the command, changes nothing
# and exits 3.
set -eu

test_packages="e2fsprogs git iproute2 memcached shellcheck uidmap util-linux xfsprogs"
lab_packages="ca-certificates debian-archive-keyring e2fsprogs gcc gpg iproute2 libc6-dev libdaxctl-dev libndctl-dev mmdebstrap pkg-config qemu-utils"
bench_packages="libmemcached-tools memcached util-linux"

# Who is not root gets to be that in a user namespace.
if [ "$(id -u)" -ne 0 ]; then
	lab_packages="$lab_packages uidmap util-linux"
fi

case ${1-} in
test) wanted=$test_packages ;;
bench) wanted=$bench_packages ;;
e2e) wanted=$lab_packages ;;
*)
	echo "packages.sh: want test, bench or e2e, got '${1-}'" >&2
	exit 3
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "packages.sh: this is no Debian: what is needed is known by Debian's names: $wanted" >&2
	echo "packages.sh: install their like, then call the target again with PACKAGES=no" >&2
	exit 3
fi

missing=
for package in $wanted; do
	status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) || status=
	case $status in
	ii*) ;;
	*) missing="$missing $package" ;;
	esac
done
if [ -z "$missing" ]; then
	exit 0
fi

install="apt-get install --yes --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif sudo -n true 2>/dev/null; then
	as_root="sudo -n env"
else
	echo "packages.sh: these packages are missing and only root can install them:$missing" >&2
	echo "packages.sh: run: sudo apt-get update && sudo $install" >&2
	exit 3
fi

# memcached's package would start a server that nobody asked for. A policy
# that the machine has already stays as it is.
policy=/usr/sbin/policy-rc.d
made_policy=
if ! [ -e $policy ]; then
	made_policy=yes
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 0755 $policy
	trap '$as_root rm -f $policy' EXIT
	trap 'exit 130' INT TERM
fi

echo "packages   installing$missing${made_policy:+, without starting services}"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of words
$as_root $install -q >/dev/null
