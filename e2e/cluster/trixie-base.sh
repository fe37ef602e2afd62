#!/usr/bin/env bash
# Makes the Debian trixie tree that images and machines start from: trixie-base.sh TREE
set -euo pipefail
tree=$1
[ -x "$tree/usr/bin/apt-get" ] && [ ! -d "$tree/debootstrap" ] && exit 0
part=$tree.part
rm -rf "$tree" "$part"
# The host's own mirror, so that a machine behind a proxy or a mirror needs no setting of ours.
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '/^deb /{for(i=2;i<=NF;i++) if($i ~ /^https?:/){print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true)
debootstrap --variant=minbase trixie "$part" ${mirror:+"$mirror"}
rm -rf "$part"/var/cache/apt/archives/*.deb
mv "$part" "$tree"
