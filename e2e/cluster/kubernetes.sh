#!/usr/bin/env bash
# Builds Kubernetes from Debian's source, once: kubernetes.sh DIR leaves the five programs in DIR/bin. About 6 minutes on 2 cores.
set -euo pipefail
dir=$1 programs="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy"
complete=1; for program in $programs; do [ -x "$dir/bin/$program" ] || complete=; done
[ -n "$complete" ] && exit 0
"$(dirname "$0")/packages.sh" build
src=$dir/src; rm -rf "$src"; mkdir -p "$src/lists/partial" "$dir/bin"; cd "$src"
# A list of source packages of our own: the host's sources stay as they are.
{ sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\(.*\)/deb-src \1\2/p' /etc/apt/sources.list 2>/dev/null || true; } > sources.list
mkdir -p parts
[ -f /etc/apt/sources.list.d/debian.sources ] && sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources > parts/debian.sources
apt=(-o "Dir::Etc::SourceList=$src/sources.list" -o "Dir::Etc::SourceParts=$src/parts" -o "Dir::State::Lists=$src/lists")
apt-get "${apt[@]}" update -qq
apt-get "${apt[@]}" source -qq --download-only kubernetes
dpkg-source -x --no-check kubernetes_*.dsc tree >/dev/null
# Its vendored reflect2 1.0.1 corrupts memory under Go 1.18 and later: the API server dies under load with "fatal error: fault".
rm -rf tree/vendor/github.com/modern-go/reflect2
cp -r /usr/share/gocode/src/github.com/modern-go/reflect2 tree/vendor/github.com/modern-go/reflect2
rm -f tree/vendor/github.com/modern-go/reflect2/go.mod
mkdir -p tree/.go/src/k8s.io; ln -sfn "$src/tree" tree/.go/src/k8s.io/kubernetes
cd tree/.go/src/k8s.io/kubernetes
what=; for program in $programs; do what="$what cmd/$program"; done
GOPATH=$src/tree/.go GO111MODULE=off CGO_ENABLED=0 KUBE_GIT_VERSION=v1.20.2 make WHAT="$what"
for program in $programs; do
  # Moved last, one by one, so that an interrupted copy never looks complete.
  cp "_output/local/bin/linux/$(go env GOARCH)/$program" "$dir/bin/$program.part"; mv "$dir/bin/$program.part" "$dir/bin/$program"
done
cd /; rm -rf "$src"
