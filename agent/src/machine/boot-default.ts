// What the next boot starts, read from the boot loader's own files where they can be read.
import { join } from 'node:path';
import type { Paths } from '../paths.ts';
import type { LoaderSays } from './loaders/boot-files.ts';
import { fromExtlinux } from './loaders/extlinux.ts';
import { fromFirstEntry } from './loaders/first-entry.ts';
import { fromGrub } from './loaders/grub.ts';
import { fromSystemdBoot } from './loaders/systemd-boot.ts';

export type BootDefault = { readonly closure: string; readonly verified: boolean };

type Places = Pick<Paths, 'boot' | 'efi' | 'efivars'>;

/**
 * The boot loader and what it starts by default; undefined where none is known here. Files of a loader that was given
 * up may lie there still: the one that was written last counts.
 */
export async function readBootLoader({ boot, efi, efivars }: Places): Promise<LoaderSays | undefined> {
  const places = [boot, join(boot, 'efi'), efi];
  const all = await Promise.all([
    fromSystemdBoot(places, efivars),
    fromExtlinux(boot),
    fromGrub(boot),
    fromFirstEntry(places),
  ]);
  const found = all.filter((says) => says !== undefined);
  return found.sort((one, other) => other.writtenAtMs - one.writtenAtMs)[0];
}

/** What the next boot starts: from the loader, else concluded from the system profile. */
export async function readBootDefault(places: Places, profile: string | undefined): Promise<BootDefault | undefined> {
  const says = await readBootLoader(places);
  if (says?.closure !== undefined) return { closure: says.closure, verified: says.verified };
  return profile === undefined ? undefined : { closure: profile, verified: false };
}
