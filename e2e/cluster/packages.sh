#!/usr/bin/env bash
# Installs the Debian packages of the test bed that are missing, and touches nothing where none is: packages.sh [--list] run|build|metrics|ssh|proxies|gitops
#   run      what a running cluster, its machines and its images need      build  what the one build of Kubernetes needs besides
#   metrics  what the scenario about metrics asks: a Prometheus            ssh    what the scenario about sources asks: an SSH server
#   proxies  what the scenario about ways to the hub asks: one that knows CONNECT, one that speaks SOCKS, one that ends TLS
#   gitops   what the scenario about GitOps tools asks: the Lua that Argo CD speaks
set -euo pipefail
list=
if [ "$1" = --list ]; then list=1; shift; fi
# "program or file that must exist" -> "package that brings it": a host with Docker's own containerd keeps it.
run_needs=(etcd:etcd-server containerd:containerd ctr:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins iptables:iptables
  conntrack:conntrack ebtables:ebtables socat:socat ip:iproute2 openssl:openssl buildah:buildah debootstrap:debootstrap
  busybox:busybox-static systemd-nspawn:systemd-container unzip:unzip flock:util-linux ssh-keygen:openssh-client git:git curl:curl
  /etc/ssl/certs/ca-certificates.crt:ca-certificates)
build_needs=(go:golang-go /usr/share/gocode/src/github.com/modern-go/reflect2:golang-github-modern-go-reflect2-dev rsync:rsync jq:jq
  make:make dpkg-source:dpkg-dev gcc:gcc /usr/include/stdio.h:libc6-dev)
metrics_needs=(prometheus:prometheus promtool:prometheus)
ssh_needs=(/usr/sbin/sshd:openssh-server)
proxies_needs=(tinyproxy:tinyproxy-bin microsocks:microsocks /usr/sbin/nginx:nginx)
gitops_needs=(lua5.1:lua5.1)
missing=()
case $1 in
  run) needs=("${run_needs[@]}") ;; build) needs=("${build_needs[@]}") ;; metrics) needs=("${metrics_needs[@]}") ;; ssh) needs=("${ssh_needs[@]}") ;;
  proxies) needs=("${proxies_needs[@]}") ;; gitops) needs=("${gitops_needs[@]}") ;;
  *) echo "usage: packages.sh [--list] run|build|metrics|ssh|proxies|gitops" >&2; exit 64 ;;
esac
for need in "${needs[@]}"; do
  what=${need%%:*}
  if [ "${what#/}" != "$what" ]; then [ -e "$what" ] && continue; else command -v "$what" >/dev/null && continue; fi
  missing+=("${need##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ -n "$list" ]; then printf '%s\n' "${missing[@]}" | sort -u; exit 0; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "these packages are missing: ${missing[*]}; the local cluster installs them on Debian 12 or later as root" >&2; exit 69
fi
export DEBIAN_FRONTEND=noninteractive
# Nothing that is installed here may start a service of its own: the cluster starts what it needs, in its own namespaces.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
