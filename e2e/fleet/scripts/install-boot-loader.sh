#!/bin/sh
# Writes the boot entries as systemd-boot's installer does: one per generation of the system profile, and the default: install-boot-loader TOPLEVEL
set -eu
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
root=${FLOE_ROOT:-}
default=$1
[ ! -e @out@/boot-loader-fails ] || { echo "cannot write the boot entry: no space left on /boot" >&2; exit 1; }
boot=$root/boot/loader
mkdir -p "$boot/entries"
generation=
for link in "$root"/nix/var/nix/profiles/system-*-link; do
  system=$(readlink "$link") || continue
  number=${link##*/system-}; number=${number%-link}
  entry=$boot/entries/nixos-generation-$number.conf
  {
    echo "title NixOS"
    echo "version Generation $number"
    echo "linux $system/kernel"
    echo "initrd $system/initrd"
    echo "options init=$system/init $(cat "$system/kernel-params" 2>/dev/null)"
  } > "$entry.tmp"
  mv "$entry.tmp" "$entry"
  if [ "$system" = "$default" ] && { [ -z "$generation" ] || [ "$number" -gt "$generation" ]; }; then generation=$number; fi
done
[ -n "$generation" ] || { echo "no generation of the system profile is $default: set the profile first" >&2; exit 1; }
for entry in "$boot"/entries/nixos-generation-*.conf; do
  number=${entry##*-}; number=${number%.conf}
  [ -L "$root/nix/var/nix/profiles/system-$number-link" ] || rm -f "$entry"
done
printf 'timeout 0\ndefault nixos-generation-%s.conf\n' "$generation" > "$boot/loader.conf.tmp"
mv "$boot/loader.conf.tmp" "$boot/loader.conf"
