#!/bin/sh
# All pods of other nodes are in the network that the nodes are in: each node asks
# there for the address of a pod, and the node that has the pod answers.
set -eu

cd /proc/sys/net/ipv4
echo 1 >ip_forward
echo 1 >conf/eth0/proxy_arp
# Answers for others are delayed at random otherwise, by up to 0.8 s.
echo 0 >neigh/eth0/proxy_delay
ip route replace 10.244.0.0/16 dev eth0
