#!/bin/sh
# Makes this machine the node that the lab's second disk describes: the files
# on it are laid over the root filesystem, then the network comes up.
set -eu

mkdir -p /run/lab
mount -o ro /dev/vdb /run/lab
cp -R /run/lab/root/. /
# shellcheck source=/dev/null
. /run/lab/node.env
umount /run/lab

hostname "$NODE_NAME"
echo "$NODE_NAME" >/etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "$NODE_IP" "$NODE_NAME" >/etc/hosts
: >/etc/resolv.conf

# Loading modules now costs less than waiting for each when it is first needed,
# and the network's must be there before the next lines.
modprobe -a virtio_net overlay veth nf_conntrack nf_tables dm_mod

ip link set lo up
ip addr add "$NODE_IP/$NODE_PREFIX" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"

echo 1 >/proc/sys/net/ipv4/ip_forward
