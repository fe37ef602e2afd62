// A /boot of a size that a scenario chooses, or one that can't be written, on a machine that runs.
import type { Machine } from '../bed/machine.ts';

/** Folder below which NixOS' systemd-boot copies kernels. */
const KERNELS = '/boot/EFI/nixos';
/** Where its menu is: whoever writes a boot entry writes here. */
const MENU = '/boot/loader';

/** Gives that folder a file system of its own, or the one that it has that size, in MiB. */
export async function shrinkBoot(machine: Machine, sizeMiB: number): Promise<void> {
  const script = `mkdir -p ${KERNELS}
    if mountpoint -q ${KERNELS}; then mount -o remount,size="$0"m ${KERNELS}; else mount -t tmpfs -o size="$0"m tmpfs ${KERNELS}; fi`;
  await machine.exec(['sh', '-euc', script, String(sizeMiB)]);
}

/** No boot entry can be written from now on, as on a file system that the kernel has set read-only after an error. */
export async function sealBoot(machine: Machine): Promise<void> {
  await machine.sh(`mount --bind ${MENU} ${MENU}; mount -o remount,bind,ro ${MENU}`);
}

/** The machine's own /boot again, which keeps no kernels; nothing where it was not changed. */
export async function giveBootBack(machine: Machine): Promise<void> {
  await machine.sh(`if mountpoint -q ${MENU}; then umount -l ${MENU}; fi
    if mountpoint -q ${KERNELS}; then umount -l ${KERNELS}; fi; rm -rf /boot/EFI`);
}
