// The fixed texts that run on a machine without an agent. Arguments are data: they never become part of a text.

/** Folder on the machine: journal, lock, and what the runs of switch-to-configuration left. */
export const STATE_FOLDER = '/var/lib/floe-ssh';

/** Exit codes of the scripts beside 0 and those of the programs in them. */
export const EXIT = {
  /** Another leader has claimed the machine since. */
  notOwner: 75,
  /** The machine's own timer has undone the attempt. */
  rescued: 76,
} as const;

/** `'` is the only character that means something between single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** What is sent to `sh -s`. The function is read whole before it runs: half a text does nothing. */
export function scriptText(script: string, args: readonly string[]): string {
  return `set -- ${args.map(quoted).join(' ')}\nmain() {\n${COMMON}${complete(script)}\n}\nmain "$@" </dev/null\nexit $?\n`;
}

const FOUND = `PATH="$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LC_ALL=C
export PATH LC_ALL
umask 077
root=\${FLOE_ROOT:-}
dir="$root${STATE_FOLDER}"
profile="$root/nix/var/nix/profiles/system"
`;

/** \`keep FILE\` stores its input so that a power cut leaves the old content or the new. \`owned TOKEN\` fences off a leader that was replaced. */
const COMMON = `${FOUND}mkdir -p "$dir/runs" || return 1
keep() { cat > "$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "$dir"; }
locked() { exec 9> "$dir/lock" && flock 9; }
owned() { locked || return 1; [ "$(cat "$dir/owner" 2>/dev/null)" = "$1" ] || exit ${EXIT.notOwner}; }
unrescued() { [ "$(cat "$dir/rescued" 2>/dev/null)" != "$1" ] || exit ${EXIT.rescued}; }
target() { one=$(readlink -f "$1" 2>/dev/null); printf %s "\${one#"$root"}"; }
at() { target "$root$1"; }
`;

/** owner token -> the journal. From now on every other token is refused. */
export const CLAIM = `locked || return 1
printf %s "$1" | keep "$dir/owner" || return 1
cat "$dir/journal" 2>/dev/null
return 0`;

/** The journal before the last write. */
export const OLDER_JOURNAL = `cat "$dir/journal.old" 2>/dev/null
return 0`;

/** owner, journal in base64. */
export const SAVE = `owned "$1" || return 1
[ ! -e "$dir/journal" ] || ln -f "$dir/journal" "$dir/journal.old" || return 1
printf %s "$2" | base64 -d | keep "$dir/journal"`;

/** closures… -> lines \`name value\`: what runs, was booted, boots next, and specialisations. */
export const SEE = `printf 'current %s\\n' "$(at /run/current-system)"
printf 'booted %s\\n' "$(at /run/booted-system)"
printf 'profile %s\\n' "$(target "$profile")"
printf 'boot %s\\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'rescued %s\\n' "$(cat "$dir/rescued" 2>/dev/null)"
printf 'agent %s\\n' "$(systemctl is-active floe-agent.service 2>/dev/null)"
read -r up rest < /proc/uptime
printf 'uptime %s\\n' "$up"
for closure in "$(target "$profile")" "$@"; do
  [ -n "$closure" ] || continue
  for one in "$root$closure"/specialisation/*; do
    [ ! -e "$one" ] || printf 'specialisation %s %s %s\\n' "$closure" "\${one##*/}" "$(at "\${one#"$root"}")"
  done
done
return 0`;

/** booted, wanted -> names of the parts in which they differ. */
export const REBOOT_REASONS = `for part in kernel initrd kernel-modules kernel-params init-interface-version; do
  old=$(readlink -f "$root$1/$part" 2>/dev/null)
  new=$(readlink -f "$root$2/$part" 2>/dev/null)
  [ -e "$old" ] && [ -e "$new" ] || continue
  [ "$old" = "$new" ] || cmp -s "$old" "$new" || echo "$part"
done
return 0`;

/** -> lines \`name value\`. */
export const FACTS = `current=$root$(at /run/current-system)
printf 'hostName %s\\n' "$(cat /proc/sys/kernel/hostname)"
printf 'kernel %s\\n' "$(cat /proc/sys/kernel/osrelease)"
printf 'nix %s\\n' "$(nix-store --version 2>/dev/null)"
printf 'system %s\\n' "$(cat "$current/system" 2>/dev/null)"
printf 'nixos %s\\n' "$(cat "$current/nixos-version" 2>/dev/null)"
return 0`;

/**
 * closure, substituters… : fetches it and checks that a key which the machine itself trusts has signed every path, also
 * those that were there. What the machine trusts is never told from here. Exit code 3: not signed.
 */
export const FETCH = `closure=$1
shift
mkdir -p "$root/nix/var/nix/gcroots/floe-ssh" && ln -sfn "$closure" "$root/nix/var/nix/gcroots/floe-ssh/new" || return 1
if [ $# -gt 0 ]; then set -- --option extra-substituters "$*"; fi
nix-store --realise "$closure" --option fsync-store-paths true "$@" >/dev/null || return 1
nix --extra-experimental-features nix-command store verify --recursive --no-contents --sigs-needed 1 "$closure" || return 3
case "$(nix --extra-experimental-features nix-command path-info --sigs "$closure")" in
  *' ca:'*) echo "error: $closure is content-addressed, so its signature says nothing" >&2; return 3 ;;
esac`;

/** Contents of a file of two closures, in base64, one line each. */
export const PAIR = `for one in "$1" "$2"; do base64 < "$root$one/$3" 2>/dev/null | tr -d '\\n'; echo; done
return 0`;

/** closure: why it can't be activated. */
export const COMPLAINT = `[ -x "$root$1/bin/switch-to-configuration" ] || echo "$1 has no bin/switch-to-configuration: it is no NixOS system that can be switched to."
return 0`;

/** closure, name -> store path of the specialisation. */
export const SPECIALISATION = `at "$1/specialisation/$2"
return 0`;

/** closure: kept from the garbage collector as the way back. */
export const KEEP_WAY_BACK = `mkdir -p "$root/nix/var/nix/gcroots/floe-ssh" && ln -sfn "$1" "$root/nix/var/nix/gcroots/floe-ssh/old"`;

/**
 * owner, attempt, number, seconds, closure to go back to, limit of a run: arms the timer, then puts away the one before.
 * Its time is counted from the start of systemd, on the clock that systemd itself uses: \`OnActiveSec\` counts again from
 * each daemon-reload. A scope that starts now says what that clock shows; /proc/uptime would not, as it goes on in suspend.
 */
export const ARM = `owned "$1" || return 1
cat > "$dir/rescue.sh.new" <<'RESCUE'
@RESCUE@
RESCUE
sync "$dir/rescue.sh.new" && mv -f "$dir/rescue.sh.new" "$dir/rescue.sh" || return 1
unit="floe-rescue-$2-$3"
systemctl stop "$unit.timer" >/dev/null 2>&1
started=$(systemctl show --value --property=UserspaceTimestampMonotonic) || return 1
now=$(systemd-run --quiet --no-ask-password --scope --collect --unit="$unit-clock" -- \\
  systemctl show --value --property=ActiveEnterTimestampMonotonic "$unit-clock.scope" 9>&-) || return 1
case "$started:$now" in
  :*|*:|0:*|*:0|*[!0-9:]*) echo "systemd does not say when it was started ($started) and what time it is ($now)" >&2; return 1 ;;
esac
before=$(cat "$dir/armed" 2>/dev/null)
systemd-run --quiet --no-ask-password --collect --unit="$unit" --description="Undo Floe's attempt $2 unless it is kept in time" \\
  --on-startup="$(( (now - started) / 1000 + $4 * 1000 ))ms" --timer-property=AccuracySec=1s --setenv=FLOE_ROOT="$root" -- /bin/sh "$dir/rescue.sh" "$2" "$3" "$5" "$6" 9>&- || return 1
printf '%s %s' "$2" "$3" | keep "$dir/armed" || return 1
set -- $before
[ $# -lt 2 ] || [ "floe-rescue-$1-$2" = "$unit" ] || systemctl stop "floe-rescue-$1-$2.timer" >/dev/null 2>&1
return 0`;

/** owner, attempt: from here on no timer of it undoes anything. */
export const DISARM = `owned "$1" || return 1
before=$(cat "$dir/armed" 2>/dev/null)
printf none | keep "$dir/armed" || return 1
set -- "$2" $before
[ $# -lt 3 ] || systemctl stop "floe-rescue-$2-$3.timer" >/dev/null 2>&1
rm -rf "$dir/runs/$1-"* "$dir/profile-before"
return 0`;

/**
 * attempt, number, closure, limit: what the timer does. Only the one armed last has the say. The boot entry and the system
 * are two runs: one \`switch\` does nothing for the system where the boot entry can't be written.
 */
const RESCUE = `${FOUND}PATH="$3/sw/bin:$PATH"
exec 9> "$dir/lock" && flock 9 || exit 1
[ "$(cat "$dir/armed")" = "$1 $2" ] || exit 0
printf %s "$1" > "$dir/rescued.new" && sync "$dir/rescued.new" && mv -f "$dir/rescued.new" "$dir/rescued" && sync "$dir" || exit 1
exec 9>&-
for run in "$dir/runs/$1-"*.started; do
  [ -e "$run" ] || continue
  run=\${run##*/}
  systemctl kill --signal=SIGKILL "floe-switch-\${run%.started}.service" >/dev/null 2>&1
  systemctl stop "floe-switch-\${run%.started}.service" >/dev/null 2>&1
done
if [ -s "$dir/profile-before" ]; then
  old=$(cat "$dir/profile-before")
  nix-env -p "$profile" --set "$old"
  NIXOS_NO_CHECK=1 timeout -k 5 "$4" "$root$old/bin/switch-to-configuration" boot
  echo "floe: boot of $old ended with exit code $?"
fi
tries=0
while [ $tries -lt 6 ]; do
  NIXOS_NO_CHECK=1 timeout -k 5 "$4" "$root$3/bin/switch-to-configuration" test
  echo "floe: test of $3 ended with exit code $?"
  [ "$(readlink -f "$root/run/current-system")" != "$(readlink -f "$root$3")" ] || exit 0
  tries=$((tries + 1))
  sleep 10
done
[ -n "$root" ] || [ "$(readlink -f "$profile")" != "$3" ] || [ -e "$dir/rebooted-$1" ] || {
  touch "$dir/rebooted-$1"; sync "$dir"
  echo "floe: $3 could not be brought back live: the machine is restarted, once, as the last resort"
  systemctl reboot
}
exit 1`;

/** name, closure, verb, skip checks or not, limit: one run of switch-to-configuration, in a unit of its own. */
const RUN = `${FOUND}runs="$dir/runs"
mkdir "$runs/$1.started" 2>/dev/null || exit 0
[ "$4" != yes ] || { NIXOS_NO_CHECK=1; export NIXOS_NO_CHECK; }
timeout -k 5 "$5" "$root$2/bin/switch-to-configuration" "$3" > "$runs/$1.output" 2>&1 < /dev/null
code=$?
cat "$runs/$1.output"
printf %s $code > "$runs/$1.ended.new" && sync "$runs/$1.ended.new" && mv -f "$runs/$1.ended.new" "$runs/$1.ended" && sync "$runs"`;

/** owner, attempt, name, closure, verb, skip, limit: starts the run where nobody has; forward ones not after a rescue. */
export const START_RUN = `owned "$1" || return 1
[ "$6" = yes ] || unrescued "$2"
[ ! -e "$dir/runs/$3.ended" ] && [ ! -e "$dir/runs/$3.started" ] || return 0
systemctl is-active --quiet "floe-switch-$3.service" && return 0
cat > "$dir/run.sh.new" <<'RUN'
@RUN@
RUN
sync "$dir/run.sh.new" && mv -f "$dir/run.sh.new" "$dir/run.sh" || return 1
systemd-run --quiet --no-ask-password --collect --service-type=exec --unit="floe-switch-$3" --description="Floe: $5 $4" \\
  --setenv=FLOE_ROOT="$root" -- /bin/sh "$dir/run.sh" "$3" "$4" "$5" "$6" "$7" 9>&-`;

/** name -> \`ended CODE\` with what it said, \`running\`, or \`lost\`; waits a few seconds for its end. */
export const AWAIT_RUN = `i=0
while :; do
  active=$(systemctl is-active "floe-switch-$1.service" 2>/dev/null)
  if [ -e "$dir/runs/$1.ended" ]; then
    echo "ended $(cat "$dir/runs/$1.ended")"
    grep -m 1 -E '^(stopping the following units|stopping swap device|activating the configuration)' "$dir/runs/$1.output"
    tail -c 65536 "$dir/runs/$1.output"
    return 0
  fi
  case "$active" in
    active|activating|deactivating|reloading) ;;
    *) echo lost; return 0 ;;
  esac
  [ $i -lt 20 ] || { echo running; return 0; }
  i=$((i + 1))
  if [ $i -lt 8 ]; then sleep 0.1; else sleep 0.5; fi
done`;

/** name: ends a run that is over its time. */
export const KILL_RUN = `systemctl kill --signal=SIGKILL "floe-switch-$1.service" >/dev/null 2>&1
systemctl stop "floe-switch-$1.service" >/dev/null 2>&1
return 0`;

/** -> a line where switch-to-configuration left units that it had still to start. */
export const UNFINISHED = `for one in start restart reload; do
  [ ! -s "$root/run/nixos/$one-list" ] || { echo yes; return 0; }
done
return 0`;

/** owner, attempt, closure. */
export const SET_PROFILE = `owned "$1" || return 1
unrescued "$2"
old=$(target "$profile")
[ "$old" = "$3" ] || printf %s "$old" | keep "$dir/profile-before" || return 1
nix-env -p "$profile" --set "$3" && sync "\${profile%/*}"`;

/** owner, closure or nothing, dropped closure: back to the generation that had it, and the newer one of the dropped goes. */
export const RESTORE_PROFILE = `owned "$1" || return 1
old=0
last=0
for one in "$profile"-*-link; do
  [ -L "$one" ] || continue
  number=\${one#"$profile-"}
  number=\${number%-link}
  [ "$(target "$one")" != "$2" ] || [ "$number" -lt "$old" ] || old=$number
  [ "$number" -lt "$last" ] || last=$number
done
if [ -z "$2" ]; then rm -f "$profile"
elif [ "$old" -gt 0 ]; then nix-env -p "$profile" --switch-generation "$old" || return 1
else nix-env -p "$profile" --set "$2" || return 1
fi
if [ "$last" -gt "$old" ] && [ "$(target "$profile-$last-link")" = "$3" ]; then rm -f "$profile-$last-link"; fi
sync "\${profile%/*}"`;

/** owner, attempt, system: notes that the machine was reached anew while it runs that. */
export const CONFIRM = `owned "$1" || return 1
unrescued "$2"
[ "$(at /run/current-system)" = "$3" ] || { echo "$(at /run/current-system) runs" >&2; return 1; }
printf %s "$2" | keep "$dir/confirmed"`;

/** file -> its content in base64: a regular one of at most 1 MiB. */
export const READ = `[ ! -e "$root$1" ] || [ -f "$root$1" ] || { echo "it is no regular file" >&2; return 1; }
[ ! -e "$root$1" ] || [ "$(wc -c < "$root$1")" -le 1048576 ] || { echo "it has more than 1 MiB" >&2; return 1; }
base64 < "$root$1"`;

/** program, arguments… */
export const COMMAND = '"$@"';

/** owner: restarts the machine, once the answer is out. No timer of systemd, which a daemon-reload would wind back. */
export const REBOOT = `owned "$1" || return 1
systemd-run --quiet --no-ask-password --collect --setenv=PATH="$PATH" -- /bin/sh -c 'sleep 1; exec systemctl reboot' 9>&-`;

/** The texts that a script puts into files of the machine. */
export function complete(script: string): string {
  return script.replace('@RESCUE@', () => RESCUE).replace('@RUN@', () => RUN);
}
