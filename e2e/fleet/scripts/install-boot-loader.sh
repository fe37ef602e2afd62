#!/bin/sh
# Writes the boot entries as systemd-boot's installer does: one per generation of the system profile and specialisation, and the default: install-boot-loader TOPLEVEL
set -eu
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
root=${FLOE_ROOT:-}
default=$1
[ ! -e @out@/boot-loader-fails ] || { echo "cannot write the boot entry: no space left on /boot" >&2; exit 1; }
boot=$root/boot/loader
mkdir -p "$boot/entries"
nl='
'
write_entry() {
  entry=$boot/entries/$1.conf params=
  # It ends without a newline, which read says by its exit code.
  read -r params < "$2/kernel-params" 2>/dev/null || true
  new="title NixOS${nl}version $3${nl}linux $2/kernel${nl}initrd $2/initrd${nl}options init=$2/init $params$nl"
  old=
  if [ -e "$entry" ]; then while IFS= read -r line; do old=$old$line$nl; done < "$entry"; fi
  [ "$old" != "$new" ] || return 0
  printf '%s' "$new" > "$entry.tmp"
  mv "$entry.tmp" "$entry"
}
generation=
for link in "$root"/nix/var/nix/profiles/system-*-link; do
  system=$(readlink "$link") || continue
  number=${link##*/system-}; number=${number%-link}
  write_entry "nixos-generation-$number" "$system" "Generation $number"
  for special in "$system"/specialisation/*; do
    [ -L "$special" ] || continue
    name=${special##*/}
    write_entry "nixos-generation-$number-specialisation-$name" "$(readlink "$special")" "Generation $number ($name)"
  done
  if [ "$system" = "$default" ] && { [ -z "$generation" ] || [ "$number" -gt "$generation" ]; }; then generation=$number; fi
done
[ -n "$generation" ] || { echo "no generation of the system profile is $default: set the profile first" >&2; exit 1; }
for entry in "$boot"/entries/nixos-generation-*.conf; do
  number=${entry##*/nixos-generation-}; number=${number%%[!0-9]*}
  [ -L "$root/nix/var/nix/profiles/system-$number-link" ] || rm -f "$entry"
done
printf 'timeout 0\ndefault nixos-generation-%s.conf\n' "$generation" > "$boot/loader.conf.tmp"
mv "$boot/loader.conf.tmp" "$boot/loader.conf"
# Where a power cut takes what was not synced; elsewhere it would have the whole host write.
if [ -e "$root/etc/floe-own-disk" ]; then sync -f "$boot"; fi
