#!/bin/sh
# Makes this machine what "e2e kind check" wants, and mounts the disk with the
# release archive and the images.
set -eu

modprobe -a virtio_console overlay veth bridge nf_conntrack nf_tables dm_mod nd_e820 nd_pmem loop
hostname kind-host
printf '127.0.0.1 localhost kind-host\n' >/etc/hosts
: >/etc/resolv.conf
ip link set lo up
mkdir -p /media/trial
mount -o ro /dev/vdb /media/trial
