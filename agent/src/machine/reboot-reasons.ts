// Says whether a closure needs a reboot: which parts of the booted system it replaces.
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';

const LINKED = ['kernel', 'initrd', 'kernel-modules'] as const;
const WRITTEN = ['kernel-params', 'init-interface-version'] as const;

async function identity(closure: string, part: string, written: boolean): Promise<string | undefined> {
  const path = join(closure, part);
  return written ? readFile(path, 'utf8').catch(() => undefined) : realpath(path).catch(() => undefined);
}

/** Parts in which the two closures differ. A part that one of them lacks says nothing. */
export async function rebootReasons(booted: string | undefined, wanted: string | undefined): Promise<string[]> {
  if (booted === undefined || wanted === undefined || booted === wanted) return [];
  const parts = [
    ...LINKED.map((name) => ({ name, written: false })),
    ...WRITTEN.map((name) => ({ name, written: true })),
  ];
  const reasons = await Promise.all(
    parts.map(async ({ name, written }) => {
      const [old, next] = await Promise.all([identity(booted, name, written), identity(wanted, name, written)]);
      return old !== undefined && next !== undefined && old !== next ? [name] : [];
    }),
  );
  return reasons.flat();
}
