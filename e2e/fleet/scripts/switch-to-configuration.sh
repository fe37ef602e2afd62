#!/bin/sh
# NixOS' switch-to-configuration in outward behaviour: verbs, lock, checks, order of work, lists below /run/nixos, and exit codes.
# With FLOE_ROOT=DIR every path is below DIR, and units are only written down (see units.sh), so that it runs without systemd.
set -u
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
out=@out@
program=@program@
root=${FLOE_ROOT:-}
action=${1:-}
lists=$root/run/nixos

case $action in
  check|boot|switch|test|dry-activate) ;;
  *) cat >&2 <<USAGE
Usage: $0 [check|switch|boot|test|dry-activate]
check:         run pre-switch checks and exit
switch:        make the configuration the boot default and activate now
boot:          make the configuration the boot default
test:          activate the configuration, but don't make it the boot default
dry-activate:  show what would be done if this configuration were activated
USAGE
    exit 1 ;;
esac
say() { echo "$*" >&2; }
[ "$(id -u)" = 0 ] || { say "switch-to-configuration must be run as the root user"; exit 1; }
[ -e "$root/etc/NIXOS" ] || { say "This is not a NixOS installation!"; exit 1; }

mkdir -p "$lists"
exec 9> "$lists/switch-to-configuration.lock"
flock --exclusive --nonblock 9 || { say "Could not acquire lock"; exit 11; }

old=$(readlink "$root/run/current-system" 2>/dev/null || true)

# 1. Checks, boot entry.
if [ "${NIXOS_NO_CHECK:-}" != 1 ]; then
  case $action in switch|test|check)
    # Only a key that both systems have, with another value, inhibits.
    if [ -n "$old" ] && [ -e "$old/switch-inhibitors.lines" ]; then
      while IFS='=' read -r key value; do
        was=$(sed -n "s|^$key=||p" "$old/switch-inhibitors.lines")
        if grep -q "^$key=" "$old/switch-inhibitors.lines" && [ "$was" != "$value" ]; then
          say "There are changes to critical components of the system: $key: $was -> $value"
          say "Switching into this system is not recommended. Use boot and reboot, or NIXOS_NO_CHECK=1."
          say "Pre-switch checks failed"
          exit 1
        fi
      done < "$out/switch-inhibitors.lines"
    fi ;;
  esac
  sh "$out/pre-switch-checks" "$out" "$action" >&2 || { say "Pre-switch checks failed"; exit 1; }
fi
[ "$action" = check ] && exit 0
if [ "$action" = switch ] || [ "$action" = boot ]; then
  "$out/bin/install-boot-loader" "$out" >&2 || { say "Failed to install bootloader"; exit 1; }
fi
# What it is made of is on the disk, should it hang; only where a power cut takes what was not synced.
if [ "$action" != dry-activate ] && [ -e "$root/etc/floe-own-disk" ]; then sync -f /nix/store; fi
[ "$action" = boot ] && exit 0

# 2. An init that cannot take over from the running one.
if [ -n "$old" ] && ! cmp -s "$old/init-interface-version" "$out/init-interface-version"; then
  say "This configuration changes the interface of the init system: reboot to activate it."
  exit 100
fi

# 3. Plan. What an interrupted switch still had to do is done too.
. "$program/units.sh"
add() { grep -qxF "$2" "$lists/$1-list" 2>/dev/null || echo "$2" >> "$lists/$1-list"; }
recall() { [ -e "$lists/$1-list" ] && cat "$lists/$1-list"; }
[ "$action" = dry-activate ] && lists=$(mktemp -d)
old_units=$old/etc/systemd/system
new_units=$out/etc/systemd/system
to_stop= not_restarted=
says() { grep -qE "^$2=(true|yes|1)\$" "$1"; }
denies() { grep -qE "^$2=(false|no|0)\$" "$1"; }
# What only people read changes nothing; what only asks for a reload is compared apart.
for_reload() { grep -E '^(X-Reload-Triggers|ExecReload)=' "$1"; }
essence() { grep -vE '^(Description|Documentation|OnFailure|X-Reload-Triggers|ExecReload)=' "$1"; }
for unit in $(active_units); do
  before=$old_units/$unit now=$new_units/$unit
  [ -n "$old" ] && [ -e "$before" ] || continue
  if [ ! -e "$now" ]; then
    denies "$before" X-StopOnRemoval || to_stop="$to_stop $unit"
  elif ! cmp -s "$before" "$now"; then
    if [ "$(essence "$before")" = "$(essence "$now")" ]; then
      [ "$(for_reload "$before")" = "$(for_reload "$now")" ] || add reload "$unit"
    elif says "$now" X-ReloadIfChanged; then add reload "$unit"
    elif denies "$now" X-RestartIfChanged || says "$now" RefuseManualStop || says "$now" X-OnlyManualStart; then
      not_restarted="$not_restarted $unit"
    elif denies "$now" X-StopIfChanged; then add restart "$unit"
    else to_stop="$to_stop $unit"; add start "$unit"
    fi
  fi
done
add start multi-user.target

if [ "$action" = dry-activate ]; then
  [ -z "$to_stop" ] || say "would stop the following units:$to_stop"
  [ -z "$not_restarted" ] || say "would NOT restart the following changed units:$not_restarted"
  for what in reload restart start; do
    [ ! -e "$lists/$what-list" ] || say "would $what the following units: $(tr '\n' ' ' < "$lists/$what-list")"
  done
  rm -rf "$lists"
  exit 0
fi

# 4. Stop, activate.
code=0
if [ -n "$to_stop" ]; then say "stopping the following units:$to_stop"; stop_units $to_stop; fi
[ -z "$not_restarted" ] || say "NOT restarting the following changed units:$not_restarted"
say "activating the configuration..."
NIXOS_ACTION=$action "$out/activate" "$out" >&2 || { say "Failed to run activate script"; code=2; }

# 5. and 6. systemd, and the users: logind that does not say who is there ends it, with the errno of a socket.
reload_manager || exit 1
if [ -e "$new_units/systemd-logind.service" ]; then
  why=$(list_users 2>&1) || { say "Unable to list users with logind: $why"; exit 11; }
fi

# 7. The running units.
for what in reload restart start; do
  units=$(recall "$what" | tr '\n' ' ')
  [ -n "$units" ] || continue
  say "${what}ing the following units: $units"
  "${what}_units" $units || code=4
  rm -f "$lists/$what-list"
done

# 8. Settle, then look.
settle
failed=$(failed_units)
if [ -n "$failed" ]; then
  say "warning: the following units failed: $(echo $failed)"
  show_failed $failed >&2
  code=4
fi
say "finished switching to system configuration $out"
exit $code
