#!/bin/sh
# Runs a command in a throw-away copy of a tree, in a mount namespace of its own: in-tree.sh TREE COUNT [INSIDE OUTSIDE]... COMMAND...
set -eu
tree=$1 count=$2
shift 2
# Hidden under /mnt: this mount namespace ends with the command, and with it every mount made here.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$tree,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
while [ "$count" -gt 0 ]; do
  mkdir -p "/mnt/root$1"
  mount --bind "$2" "/mnt/root$1"
  shift 2
  count=$((count - 1))
done
exec chroot /mnt/root "$@"
