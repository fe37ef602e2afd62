#!/bin/sh
# Starts, finds and ends one program of a cluster, from inside its namespaces. A process is its number and the time it began:
# numbers are used again.
#   daemon.sh start FILE CGROUP_FILES COMMAND...   becomes COMMAND, in the cgroups whose files are listed with colons between
#   daemon.sh alive FILE                           exit code 0 while it runs
#   daemon.sh stop FILE SIGNAL SECONDS             ends it; SIGKILL after so many seconds
set -u
verb=$1 file=$2
# State, number of threads, time of birth (proc_pid_stat(5)).
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1,18,20; }
alive() {
  read -r pid time < "$file" 2>/dev/null || return 1
  # A program whose first thread has ended holds its ports until the last one has.
  case $(born "$pid") in "Z "[01]" $time") return 1 ;; *" $time") return 0 ;; esac
  return 1
}
case $verb in
  start)
    echo "$3" | tr ':' '\n' | while read -r cgroup; do [ -z "$cgroup" ] || echo $$ > "$cgroup" || exit 1; done || exit 1
    shift 3
    echo "$$ $(born $$ | cut -d' ' -f3)" > "$file.part"
    mv "$file.part" "$file"
    exec "$@" ;;
  alive) alive ;;
  stop)
    alive || exit 0
    kill "-$3" "$pid" 2>/dev/null || exit 0
    end=$(($(date +%s) + $4))
    while alive; do
      [ "$(date +%s)" -le "$end" ] || kill -KILL "$pid" 2>/dev/null
      sleep 0.05
    done ;;
  *) echo "usage: daemon.sh start|alive|stop FILE ..." >&2; exit 64 ;;
esac
