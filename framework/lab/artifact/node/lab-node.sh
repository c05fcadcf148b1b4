#!/bin/sh
# Makes this machine the node that the lab's second disk describes: the files
# on it are laid over the root filesystem, then the network comes up.
set -eu

# Loading modules now costs less than waiting for each when it is first needed,
# and what follows relies on the first two.
modprobe -a virtio_net virtio_console overlay veth nf_conntrack nf_tables dm_mod loop

# The programs of the node write to ports that lead to files of the host.
mkdir -p /run/lab /run/config
for port in /sys/class/virtio-ports/*; do
	ln -s "/dev/${port##*/}" "/run/lab/$(cat "$port/name")"
done

mount -o ro /dev/vdb /run/config
cp -R /run/config/root/. /
# shellcheck source=/dev/null
. /run/config/node.env
umount /run/config

hostname "$NODE_NAME"
echo "$NODE_NAME" >/etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "$NODE_IP" "$NODE_NAME" >/etc/hosts
: >/etc/resolv.conf

# Namespaces of an NVDIMM are kept in its labels. The kernel looks for them when
# it enables the region, and takes one without for a single namespace.
if [ "$DRIVER" = direct ]; then
	modprobe -a nfit nd_pmem
	ndctl disable-region all
	ndctl init-labels all || echo "the NVDIMM has labels already"
	ndctl enable-region all
	# ND_DEVICE_NAMESPACE_PMEM of linux/ndctl.h.
	if [ "$(cat /sys/bus/nd/devices/region0/nstype)" != 5 ]; then
		echo "the NVDIMM has no labels, so the driver cannot make namespaces" >&2
		exit 1
	fi
fi

ip link set lo up
ip addr add "$NODE_IP/$NODE_PREFIX" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"
for peer in $PEERS; do
	ip route add "${peer%%=*}" via "${peer#*=}"
done
echo 1 >/proc/sys/net/ipv4/ip_forward

# What runs containers protects itself from them by a copy in memory, which it
# starts in its own place, unless nobody can write to its file.
mount --bind @RUNTIME@ @RUNTIME@
mount -o remount,bind,ro @RUNTIME@
