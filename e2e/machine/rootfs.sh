#!/usr/bin/env bash
# Makes the tree that every machine of the test bed starts from: rootfs.sh TRIXIE_TREE NODE_BINARY TARGET
# What a machine runs beside Debian's base (the agent too) comes from the closure it boots, as on NixOS.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
base=$1 node=$2 target=$3 part=$3.part
[ -d "$target" ] && exit 0
if [ -d "$part" ]; then umount -l "$part/proc" 2>/dev/null || true; rm -rf --one-file-system "$part"; fi
cp -a "$base" "$part"
cp /etc/resolv.conf "$part/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' > "$part/usr/sbin/policy-rc.d"; chmod +x "$part/usr/sbin/policy-rc.d"
mount -t proc proc "$part/proc"
trap 'umount -l "$part/proc" 2>/dev/null || true' EXIT
chroot "$part" sh -ec 'export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus nix-bin ca-certificates git openssh-client \
    openssh-server iproute2 procps curl libnss-myhostname </dev/null
  apt-get clean; rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old' > "$target.log" 2>&1 || { tail -20 "$target.log" >&2; exit 1; }
umount "$part/proc"
cd "$part"

install -m 0755 "$node" usr/local/bin/node
install -m 0755 "$here/stage-2" sbin/floe-stage-2
touch etc/NIXOS
: > etc/machine-id
rm -f var/lib/dbus/machine-id etc/hostname usr/sbin/policy-rc.d
echo 'LANG=C.UTF-8' > etc/locale.conf

# /etc/systemd/system belongs to the closure (a link to /etc/static/systemd/system, as on NixOS), so what Debian enables there goes.
rm -rf etc/systemd/system etc/systemd/user
units=usr/lib/systemd/system
mask() { local unit; for unit in "$@"; do rm -rf "${units:?}/$unit"; ln -s /dev/null "$units/$unit"; done; }
# Nothing here has a console, a user, a disk, a module or a clock of its own to manage.
mask getty.target getty@.service console-getty.service container-getty@.service systemd-logind.service systemd-user-sessions.service \
  systemd-hwdb-update.service systemd-udevd.service systemd-udev-trigger.service systemd-udev-settle.service systemd-journal-catalog-update.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-update-done.service systemd-machine-id-commit.service \
  systemd-timesyncd.service systemd-resolved.service systemd-networkd-persistent-storage.service systemd-pstore.service systemd-firstboot.service \
  systemd-sysusers.service systemd-random-seed.service systemd-binfmt.service systemd-modules-load.service systemd-remount-fs.service \
  systemd-boot-random-seed.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-pcrphase.service \
  systemd-pcrphase-sysinit.service systemd-pcrmachine.service systemd-ask-password-console.path systemd-ask-password-wall.path \
  systemd-tmpfiles-clean.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service \
  ldconfig.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
  sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount nix-daemon.service nix-daemon.socket modprobe@.service \
  systemd-journal-flush.service systemd-rfkill.socket systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-creds.socket \
  systemd-mountfsd.socket systemd-nsresourced.socket systemd-networkd-wait-online.service
ln -sfn multi-user.target "$units/default.target"
mkdir -p "$units/multi-user.target.wants" "$units/sockets.target.wants" "$units/sysinit.target.wants"
ln -sf ../systemd-networkd.service "$units/multi-user.target.wants/"
ln -sf ../dbus.service "$units/multi-user.target.wants/"
mkdir -p etc/systemd/journald.conf.d etc/systemd/system.conf.d
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\nForwardToConsole=no\n' > etc/systemd/journald.conf.d/floe.conf
printf '[Manager]\nDefaultTimeoutStopSec=10s\nStatusUnitFormat=name\n' > etc/systemd/system.conf.d/floe.conf

# One user, root, and no daemon: builds need no users of their own, and a nested namespace is more than a container allows.
mkdir -p etc/nix
printf 'build-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\nsubstituters =\nsubstitute = true\nconnect-timeout = 5\nfallback = false\n' > etc/nix/nix.conf
# The SSH server runs where a closure has a unit for it; each machine gets a host key of its own.
rm -f etc/ssh/ssh_host_*
# Each reload of systemd would run them all, and a closure here has nothing that one of them finds: no fstab, no disk, no console.
rm -f usr/lib/systemd/system-generators/*
rm -rf nix && mkdir -p nix/store nix/var/nix boot/loader/entries etc/ssh
cd / && mv "$part" "$target" && rm -f "$target.log"
