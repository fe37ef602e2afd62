// Reads what the machine runs, booted and will boot.
import { readFile } from 'node:fs/promises';
import type { Seen } from '../attempt/outcome.ts';
import type { Paths } from '../paths.ts';
import { readBootDefault } from './boot-default.ts';
import { readStoreLink } from './store-link.ts';

/** Identifies this boot; the kernel makes it anew each time. */
async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown')).trim();
}

/** Everything about closures that can be read from the machine itself. */
export async function observe(paths: Paths): Promise<Seen> {
  const [current, booted, profile, bootId] = await Promise.all([
    readStoreLink(paths.root, paths.currentSystem),
    readStoreLink(paths.root, paths.bootedSystem),
    readStoreLink(paths.root, paths.profile),
    readBootId(),
  ]);
  const bootDefault = await readBootDefault(paths, profile);
  return {
    bootId,
    ...(current === undefined ? {} : { current }),
    ...(booted === undefined ? {} : { booted }),
    ...(profile === undefined ? {} : { profile }),
    ...(bootDefault === undefined ? {} : { bootDefault }),
  };
}
