# What switch-to-configuration asks of systemd; with FLOE_ROOT, a record in $root/run/floe-units instead: one file per active unit.
# shellcheck shell=sh
if [ -z "$root" ]; then
  active_units() { systemctl list-units --all --full --plain --no-legend --no-pager | awk '$3 == "active" || $3 == "activating" || $3 == "reloading" || $3 == "failed" {print $1}'; }
  stop_units() { systemctl stop -- "$@"; }
  reload_manager() { systemctl reset-failed; timeout 180 systemctl daemon-reload; }
  list_users() { busctl --timeout=25 call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListUsers; }
  reload_units() { systemctl reload -- "$@"; }
  restart_units() { systemctl restart -- "$@" || { name_unstarted restart "$@"; return 1; }; }
  start_units() { systemctl start -- "$@" || { name_unstarted start "$@"; return 1; }; }
  # Which of them: those that are off now, but for what ends as soon as it is done.
  name_unstarted() {
    what=$1; shift
    for unit; do
      case $(systemctl show --value --property=ActiveState "$unit") in
        failed) echo "Failed to $what $unit" >&2 ;;
        inactive) [ "$(systemctl show --value --property=Type "$unit")" = oneshot ] || echo "Failed to $what $unit" >&2 ;;
      esac
    done
  }
  # Quiet for a moment: no job left, and whoever fails at once has failed.
  settle() {
    n=0
    while [ $n -lt 300 ]; do
      sleep 0.3
      [ -z "$(systemctl list-jobs --no-legend --plain)" ] && break
      n=$((n + 1))
    done
  }
  failed_units() {
    systemctl list-units --all --full --plain --no-legend --no-pager --state=failed | awk '{print $1}'
    for unit in $(systemctl list-units --all --full --plain --no-legend --no-pager --state=auto-restart | awk '{print $1}'); do
      [ "$(systemctl show -P ExecMainStatus "$unit")" = 0 ] || echo "$unit"
    done
  }
  show_failed() { systemctl status --no-pager --full --lines=10 -- "$@"; true; }
else
  record=$root/run/floe-units
  mkdir -p "$record/active" "$record/failed"
  active_units() { ls "$record/active"; }
  stop_units() { for unit; do rm -f "$record/active/$unit"; echo "stop $unit" >> "$record/log"; done; }
  reload_manager() { rm -f "$record"/failed/*; }
  list_users() { :; }
  reload_units() { for unit; do echo "reload $unit" >> "$record/log"; done; }
  restart_units() { stop_units "$@"; start_units "$@"; }
  start_units() {
    for unit; do
      if [ "$unit" = multi-user.target ]; then
        for wanted in "$out"/etc/systemd/system/multi-user.target.wants/*; do
          [ -e "$wanted" ] || continue
          [ -e "$record/active/${wanted##*/}" ] || start_units "${wanted##*/}"
        done
      elif grep -q '^ExecStart=/bin/false' "$out/etc/systemd/system/$unit"; then
        touch "$record/failed/$unit"; echo "fail $unit" >> "$record/log"
      else
        readlink -f "$out/etc/systemd/system/$unit" > "$record/active/$unit"; echo "start $unit" >> "$record/log"
      fi
    done
  }
  settle() { :; }
  failed_units() { ls "$record/failed"; }
  show_failed() { :; }
fi
