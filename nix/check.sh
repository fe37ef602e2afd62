#!/usr/bin/env bash
# Evaluates the NixOS module inside a nixpkgs tree: nix/check.sh NIXPKGS [options of nix-instantiate]
# Builds nothing and asks nobody; needs Nix. Exit 0: everything holds, 1: something does not, 64: usage.
set -euo pipefail
if [ $# -lt 1 ] || [ ! -d "$1/nixos/modules" ]; then
  echo "usage: nix/check.sh NIXPKGS [options of nix-instantiate], where NIXPKGS is the absolute path of a nixpkgs tree" >&2
  exit 64
fi
nixpkgs=$(cd "$1" && pwd)
shift
result=$(nix-instantiate --eval --strict --json --readonly-mode --option allow-import-from-derivation false \
  "$(dirname "$0")/check.nix" --arg nixpkgs "$nixpkgs" "$@")
echo "$result"
[[ $result == *'"failed":{}'* && $result == *'"package":true'* ]]
