#!/bin/sh
# Runs a machine until it is off, across its reboots: run.sh PID_FILE COMMAND...
# PID_FILE names the process whose only child is the machine's PID 1. SIGTERM shuts the machine down in order.
set -u
pid_file=$1
shift
trap 'kill -TERM "$child" 2>/dev/null' TERM
while :; do
  "$@" &
  child=$!
  echo "$child" > "$pid_file"
  code=
  # A signal ends `wait` before the machine has ended.
  while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
  # systemd-nspawn ends with 133 where the machine asked for a reboot.
  [ "$code" = 133 ] || exit "${code:-0}"
done
