// Whether there is room for a closure: in the store before it is fetched, in /boot before the loader copies its kernel.
import { readdir, realpath, stat, statfs } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Room of a file system for root's use, in bytes; undefined where it can't be asked. */
export type FreeBytes = (path: string) => Promise<number | undefined>;

export const freeBytes: FreeBytes = (path) =>
  statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  );

const UNITS: Readonly<Record<string, number>> = { B: 1, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40 };
const SUMMARY = /(?:path|paths) will be fetched \(([\d.]+) ([KMGT]i)?B download, ([\d.]+) ([KMGT]i)?B unpacked\)/;
/** A loader writes new files before it removes old ones, and needs a little for its own. */
const BOOT_RESERVE = 8 * 2 ** 20;

/** Bytes that a fetch would unpack into the store, as `nix-store --realise --dry-run` says; undefined where it does not. */
export function bytesToFetch(said: string): number | undefined {
  const [, , , size, unit] = SUMMARY.exec(said) ?? [];
  return size === undefined ? undefined : Math.ceil(Number(size) * (UNITS[`${unit ?? ''}B`.toUpperCase()] ?? 1));
}

/** `2.1 GiB`, `800 MiB`, `12 KiB`. */
export function sizeInWords(bytes: number): string {
  const [name, size] = Object.entries(UNITS).findLast(([, one]) => bytes >= one) ?? ['B', 1];
  const value = bytes / size;
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${name.replace('I', 'i')}`;
}

export type Room = { readonly needed: number; readonly free: number; readonly reserve: number; readonly where: string };

/** Why there is not enough room, with numbers and remedy; undefined where there is. */
export function roomFault({ needed, free, reserve, where }: Room, remedy: string): string | undefined {
  if (needed === 0 || needed + reserve <= free) return undefined;
  const kept = reserve === 0 ? '' : ` and ${sizeInWords(reserve)} must stay free`;
  return `it needs ${sizeInWords(needed)} in ${where}, ${sizeInWords(free)} are free there${kept}; ${remedy}`;
}

/** Folders below /boot into which loaders copy kernels, with the ending that they give them. */
const COPIES: readonly { readonly folder: string; readonly ending: string }[] = [
  { folder: 'EFI/nixos', ending: '.efi' },
  { folder: 'kernels', ending: '' },
  { folder: 'nixos', ending: '' },
];

/** The name that NixOS' loaders give to a copy: its path in the store, with dashes for slashes. */
export function copyName(path: string): string {
  return relative('/nix/store', path).replaceAll('/', '-');
}

async function bootFiles(closure: string): Promise<string[]> {
  const special = await readdir(join(closure, 'specialisation')).catch(() => []);
  const systems = [closure, ...special.map((name) => join(closure, 'specialisation', name))];
  const files = systems.flatMap((system) => ['kernel', 'initrd'].map((name) => realpath(join(system, name))));
  const settled = await Promise.allSettled(files);
  return [...new Set(settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))];
}

/** Why /boot has no room for the kernels of a closure that was fetched; undefined where it has, or keeps none. */
export async function bootFault(boot: string, closure: string, free: FreeBytes): Promise<string | undefined> {
  for (const { folder, ending } of COPIES) {
    const present = await readdir(join(boot, folder)).catch(() => undefined);
    if (present === undefined) continue;
    const missing = (await bootFiles(closure)).filter((path) => !present.includes(`${copyName(path)}${ending}`));
    const sizes = await Promise.all(missing.map(async (path) => (await stat(path)).size));
    const needed = sizes.reduce((sum, size) => sum + size, 0);
    const room = await free(join(boot, folder));
    if (room === undefined) return undefined;
    const remedy =
      'lower configurationLimit of the boot loader or spec.activation.generations, or delete old generations';
    return roomFault({ needed, free: room, reserve: BOOT_RESERVE, where: '/boot' }, remedy);
  }
  return undefined;
}
