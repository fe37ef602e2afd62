#!/usr/bin/env bash
# Makes the keys, certificates and kubeconfigs of a local cluster: pki.sh TARGET. Every cluster has the same addresses, so all share them.
set -euo pipefail
target=$1
[ -d "$target" ] && exit 0
rm -rf "$target.part"; mkdir -p "$target.part"; cd "$target.part"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
key ca.key
openssl req -x509 -new -key ca.key -out ca.crt -subj /CN=floe-local-ca -days 3650
cert() { # name subject alt-names
  key "$1.key"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "$2"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 3650 -extfile "$1.ext" 2>/dev/null
  rm "$1.csr" "$1.ext"
}
cert apiserver /CN=kube-apiserver IP:127.0.0.1,IP:10.96.0.1,IP:10.250.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
cert admin /O=system:masters/CN=admin DNS:admin
cert controller-manager /CN=system:kube-controller-manager DNS:controller-manager
cert scheduler /CN=system:kube-scheduler DNS:scheduler
cert kubelet /O=system:nodes/CN=system:node:local DNS:local,IP:10.250.0.1
# The controller manager reads its key as PKCS#1 or PKCS#8 and signs certificate requests with it; RSA is what 1.20 tests for tokens.
openssl genrsa -traditional -out service-accounts.key 2048 2>/dev/null
openssl rsa -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
base64=$(base64 -w0 ca.crt)
for user in admin controller-manager scheduler kubelet; do cat > "$user.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://10.250.0.1:6443", certificate-authority-data: $base64}}]
users: [{name: user, user: {client-certificate-data: $(base64 -w0 "$user.crt"), client-key-data: $(base64 -w0 "$user.key")}}]
contexts: [{name: local, context: {cluster: local, user: user}}]
current-context: local
Y
done
chmod 600 ./*.key ./*.kubeconfig
mv "$target.part" "$target"
