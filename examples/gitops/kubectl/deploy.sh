#!/usr/bin/env bash
# The fleet from CI, with nothing but kubectl: deploy.sh FOLDER [NAMESPACE]. Exit 0: the revision is built and the Rollout is
# completed or waits for a person; 1: it stopped, or took longer than $TIMEOUT seconds (default 3600).
set -euo pipefail
folder=$1 namespace=${2:-fleet} end=$((SECONDS + ${TIMEOUT:-3600}))
# Fields that git does not name (spec.hold, an approved key) stay as they are.
kubectl apply --server-side --field-manager=ci -n "$namespace" -k "$folder"
state() {
  kubectl -n "$namespace" get "$1" -o jsonpath='{.metadata.generation}|{.status.observedGeneration}|{.status.conditions[?(@.type=="Ready")].status}|{.status.conditions[?(@.type=="Stalled")].status}|{.status.phase}|{.status.nextChange}'
}
message() { kubectl -n "$namespace" get "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'; }
for object in $(kubectl -n "$namespace" get nixconfigs,rollouts.floe.dev -o name); do
  while :; do
    IFS='|' read -r generation observed ready stalled phase next <<<"$(state "$object")" || true
    if [ "$generation" = "$observed" ]; then
      if [ "$stalled" = True ]; then echo "$object: $(message "$object")" >&2; exit 1; fi
      if [ "$ready" = True ]; then echo "$object: $(message "$object")"; break; fi
      if [ "$phase" = Paused ] && [ -z "$next" ]; then echo "$object waits for a person: $(message "$object")"; break; fi
    fi
    if [ "$SECONDS" -ge "$end" ]; then echo "$object: not done in time: $(message "$object")" >&2; exit 1; fi
    sleep 5
  done
done
