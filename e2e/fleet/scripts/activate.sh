#!/bin/sh
# Makes this system the running one: /etc from /etc/static, the activation snippets, and last /run/current-system.
set -u
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
out=@out@
root=${FLOE_ROOT:-}
etc=$root/etc
status=0
mkdir -p "$etc" "$root/run"

replace() { ln -sfn "$1" "$2.floe-new" && mv -T "$2.floe-new" "$2"; }
replace "$out/etc" "$etc/static" || status=1
( cd "$out/etc" && find . \( -type l -o -type f \) ) | sed 's|^\./||' | while read -r file; do
  mkdir -p "$(dirname "$etc/$file")"
  [ "$(readlink "$etc/$file" 2>/dev/null)" = "/etc/static/$file" ] || { rm -rf "${etc:?}/$file"; replace "/etc/static/$file" "$etc/$file"; }
done
# Links into an older system's etc that leads nowhere now.
find "$etc" -xdev -type l -lname '/etc/static/*' | while read -r link; do
  [ -e "$out/etc/${link#"$etc"/}" ] || rm -f "$link"
done
[ -n "$root" ] || hostname "$(cat /etc/hostname)" 2>/dev/null

. "$out/activation-snippets"

replace "$out" "$root/run/current-system"
exit $status
