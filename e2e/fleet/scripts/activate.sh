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
# No process for a file that is as it should be: there are many, and each switch looks at all.
find "$out/etc/" \( -type l -o -type f \) -printf '%P\n' | while read -r file; do
  link=$etc/$file
  if [ -L "$link" ] && [ "$link" -ef "$out/etc/$file" ]; then continue; fi
  [ -d "${link%/*}" ] || mkdir -p "${link%/*}"
  rm -rf "${etc:?}/$file"; replace "/etc/static/$file" "$link"
done
# Links into an older system's etc that leads nowhere now.
find "$etc" -xdev -type l -lname '/etc/static/*' | while read -r link; do
  [ -e "$out/etc/${link#"$etc"/}" ] || rm -f "$link"
done
[ -n "$root" ] || hostname "$(cat /etc/hostname)" 2>/dev/null

. "$out/activation-snippets"

replace "$out" "$root/run/current-system"
exit $status
