// A /nix of a size that a scenario chooses, on a machine that runs: what is there moves into a file system of its own, and back.
import type { Machine } from '../bed/machine.ts';

const AT = '/mnt';

/** Gives the machine's /nix a file system with that many MiB free. */
export async function shrinkStore(machine: Machine, freeMiB: number): Promise<void> {
  // Made large, since what an overlay holds is told exactly only by a copy.
  const script = `mount -t tmpfs -o size=4g,mode=755 tmpfs ${AT}
    cp -a /nix/. ${AT}/
    mount -o remount,size=$(( $(df --output=used -k ${AT} | tail -1) + $0 * 1024 ))k ${AT}
    mount --bind ${AT} /nix`;
  await machine.exec(['sh', '-euc', script, String(freeMiB)]);
}

/** Makes the file system larger by that much, as an admin with a volume manager does. */
export async function growStore(machine: Machine, moreMiB: number): Promise<void> {
  const script = `mount -o remount,size=$(( $(df --output=size -k ${AT} | tail -1) + $0 * 1024 ))k ${AT}`;
  await machine.exec(['sh', '-euc', script, String(moreMiB)]);
}

/** The machine's own /nix again, with what is in the other one; nothing where there is none. */
export async function giveStoreBack(machine: Machine): Promise<void> {
  const script = `mountpoint -q ${AT} || exit 0
    if mountpoint -q /nix; then umount -l /nix; fi
    rm -rf /nix/var
    cp -a ${AT}/. /nix/
    umount -l ${AT}`;
  await machine.sh(script);
}
