// Reads what the machine runs, booted and will boot.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Seen } from '../attempt/outcome.ts';
import type { Paths } from '../paths.ts';
import { readBootDefault } from './boot-default.ts';
import { parentOf } from './specialisations.ts';
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
  const fetched = await readStoreLink(paths.root, join(paths.gcRoots, 'new'));
  // What a person made the boot loader's default may itself be a specialisation.
  const bootDefaultIs = await parentOf(bootDefault?.closure, [profile, fetched]);
  const closures = [profile, bootDefaultIs?.closure ?? bootDefault?.closure, fetched];
  const [currentIs, bootedIs] = await Promise.all([parentOf(current, closures), parentOf(booted, closures)]);
  return {
    bootId,
    ...(currentIs === undefined ? {} : { currentIs }),
    ...(bootedIs === undefined ? {} : { bootedIs }),
    ...(bootDefaultIs === undefined ? {} : { bootDefaultIs }),
    ...(current === undefined ? {} : { current }),
    ...(booted === undefined ? {} : { booted }),
    ...(profile === undefined ? {} : { profile }),
    ...(bootDefault === undefined ? {} : { bootDefault }),
  };
}
