#!/usr/bin/env bash
# PID 1 of a local cluster: it owns the cluster's PID, mount and network namespaces, so that ending it ends and unmounts everything: init.sh DIR
set -euo pipefail
dir=$1
read -r host_pid _ < /proc/self/stat   # /proc is still the host's here: this is the number by which the host knows this process
mount --make-rprivate /
mount -t proc proc /proc
# /run/netns, /run/containerd, /run/xtables.lock, /run/systemd: everything that programs keep under fixed names becomes the cluster's own.
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /run/netns /run/containerd
own() { mkdir -p "$dir/$1" "$2"; mount --bind "$dir/$1" "$2"; }
own log/pods /var/log/pods
own log/containers /var/log/containers
own kubelet /var/lib/kubelet
own containerd /var/lib/containerd
own cni /var/lib/cni
# The cluster's own name server; the host's is out of reach, and asking it takes seconds.
printf 'nameserver 10.250.0.1\noptions timeout:1 attempts:2\n' > "$dir/resolv.conf"
mount --bind "$dir/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mount --make-rshared /   # for what kubelet and containerd hand each other

ip link set lo up
# A bridge, as not every kernel has the dummy device; machines attach to it.
ip link add node0 type bridge
ip address add 10.250.0.1/24 dev node0
ip link set node0 up
ip route add default via 10.250.0.254 dev node0   # kubelet and kube-proxy want a default route to exist; it leads nowhere
# What looks for the world outside (a cloud's metadata, a name server) learns at once that there is none, instead of after 5 s each.
for net in 0.0.0.0/1 128.0.0.0/1; do ip route add unreachable "$net"; done
ip route add 10.96.0.0/16 dev node0               # Services: kube-proxy rewrites them, but the route is looked up before
echo 1 > /proc/sys/net/ipv4/ip_forward

echo "$host_pid" > "$dir/init.pid.part"; mv "$dir/init.pid.part" "$dir/init.pid"
trap 'exit 0' TERM
# bash reaps whatever is left to it; the loop only keeps it alive.
while :; do sleep 86400 & wait $! || true; done
