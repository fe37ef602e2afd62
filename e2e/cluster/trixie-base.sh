#!/usr/bin/env bash
# Makes the Debian trixie tree that images and machines start from: trixie-base.sh TREE
set -euo pipefail
tree=$1
[ -d "$tree" ] && exit 0
part=$tree.part
rm -rf --one-file-system "$part"
# The host's own mirror, so that a machine behind a proxy or a mirror needs no setting of ours.
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '/^deb /{for(i=2;i<=NF;i++) if($i ~ /^https?:/){print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true)
debootstrap --variant=minbase trixie "$part" ${mirror:+"$mirror"}
# As in Debian's own slim images: documentation and translations only cost space and copying time.
printf 'path-exclude=/usr/share/%s/*\n' doc man locale info lintian > "$part/etc/dpkg/dpkg.cfg.d/floe"
printf 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };\n' > "$part/etc/apt/apt.conf.d/docker-clean"
rm -rf "$part"/usr/share/{doc,man,locale,info,lintian}/* "$part"/var/cache/apt/archives/*.deb "$part"/var/lib/apt/lists/* "$part"/var/log/*.log
# What this host needs to reach its mirror, whoever installs packages in this tree needs too.
cp -n /etc/apt/apt.conf.d/99* "$part/etc/apt/apt.conf.d/" 2>/dev/null || true
mv "$part" "$tree"
