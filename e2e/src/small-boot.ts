// A /boot of a size that a scenario chooses, where systemd-boot keeps its kernels on a machine that runs.
import type { Machine } from '../bed/machine.ts';

/** Folder below which NixOS' systemd-boot copies kernels. */
const KERNELS = '/boot/EFI/nixos';

/** Gives that folder a file system of its own, or the one that it has that size, in MiB. */
export async function shrinkBoot(machine: Machine, sizeMiB: number): Promise<void> {
  const script = `mkdir -p ${KERNELS}
    if mountpoint -q ${KERNELS}; then mount -o remount,size="$0"m ${KERNELS}; else mount -t tmpfs -o size="$0"m tmpfs ${KERNELS}; fi`;
  await machine.exec(['sh', '-euc', script, String(sizeMiB)]);
}

/** The machine's own /boot again, which keeps no kernels; nothing where it was not changed. */
export async function giveBootBack(machine: Machine): Promise<void> {
  await machine.sh(`if mountpoint -q ${KERNELS}; then umount -l ${KERNELS}; fi; rm -rf /boot/EFI`);
}
