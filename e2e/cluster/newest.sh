#!/usr/bin/env bash
# Builds today's CustomResourceDefinition server from Debian sid's Go packages: newest.sh DIR leaves DIR/bin/apiextensions-apiserver.
# A chroot of 2.5 GB while it builds, about 5 minutes; sid moves on, so what was built is kept.
set -euo pipefail
dir=$1 root=$1/sid
[ -x "$dir/bin/apiextensions-apiserver" ] && exit 0
mkdir -p "$dir/bin"
if [ -d "$root" ]; then umount -l "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root"; fi
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '/^deb /{for(i=2;i<=NF;i++) if($i ~ /^https?:/){print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true)
# sid is signed with keys that an older Debian may not have yet; what is built here is for tests alone.
debootstrap --variant=minbase --no-check-gpg sid "$root" ${mirror:+"$mirror"}
cp -n /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
mount -t proc proc "$root/proc"
trap 'umount -l "$root/proc" 2>/dev/null || true' EXIT
chroot "$root" sh -ec 'export DEBIAN_FRONTEND=noninteractive HOME=/root GO111MODULE=off GOPATH=/tmp/go:/usr/share/gocode CGO_ENABLED=0
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends golang-go golang-k8s-apiextensions-apiserver-dev </dev/null
  go build -o /tmp/apiextensions-apiserver k8s.io/apiextensions-apiserver'
umount "$root/proc"
cp "$root/tmp/apiextensions-apiserver" "$dir/bin/apiextensions-apiserver.part"
mv "$dir/bin/apiextensions-apiserver.part" "$dir/bin/apiextensions-apiserver"
rm -rf --one-file-system "$root"
