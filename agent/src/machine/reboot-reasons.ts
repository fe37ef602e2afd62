// Says whether a closure needs a reboot: which parts of the booted system it replaces.
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { changedKeys, readKeys } from './key-file.ts';

const TRIGGERS = 'reboot-triggers';
const LINKED = ['kernel', 'initrd', 'kernel-modules'] as const;
const WRITTEN = ['kernel-params'] as const;
/** A new one can't take over from the old one that runs: switch-to-configuration ends with exit code 100. */
const INTERFACE = 'init-interface-version';

type Part = { readonly name: string; readonly written: boolean };

/** What a part is: the store path that it is a link to, else its content. */
async function identity(closure: string, { name, written }: Part): Promise<string | undefined> {
  const path = join(closure, name);
  const content = () => readFile(path, 'utf8').catch(() => undefined);
  if (written) return content();
  const [own, target] = await Promise.all([realpath(closure), realpath(path)].map((one) => one.catch(() => undefined)));
  // A file of the closure's own has another path in each of them.
  return target?.startsWith(`${own}/`) ? content() : target;
}

/** Parts in which the two closures differ. A part that one of them lacks says nothing. */
async function differing(booted: string, wanted: string, parts: readonly Part[]): Promise<string[]> {
  const reasons = await Promise.all(
    parts.map(async (part) => {
      const [old, next] = await Promise.all([identity(booted, part), identity(wanted, part)]);
      return old !== undefined && next !== undefined && old !== next ? [part.name] : [];
    }),
  );
  return reasons.flat();
}

/**
 * Why the wanted closure takes full effect with a reboot only. Where both closures have the file reboot-triggers (nixpkgs
 * PR 473282) its keys count; else kernel, initrd, modules and kernel parameters are compared.
 */
export async function rebootReasons(booted: string | undefined, wanted: string | undefined): Promise<string[]> {
  if (booted === undefined || wanted === undefined || booted === wanted) return [];
  const [old, next] = await Promise.all([readKeys(join(booted, TRIGGERS)), readKeys(join(wanted, TRIGGERS))]);
  const interfaces = await differing(booted, wanted, [{ name: INTERFACE, written: true }]);
  if (old !== undefined && next !== undefined) return [...changedKeys(old, next), ...interfaces];
  const parts = [
    ...LINKED.map((name) => ({ name, written: false })),
    ...WRITTEN.map((name) => ({ name, written: true })),
  ];
  return [...(await differing(booted, wanted, parts)), ...interfaces];
}
