// Room in store and /boot: what is needed, what is free, what is said where it does not fit; and which generations may go.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../machine/command.ts';
import { pathsUnder } from '../paths.ts';
import { bootFault, bytesToFetch, copyName, freeBytes, roomFault, sizeInWords } from './space.ts';
import { type Generation, surplus } from './surplus.ts';
import { SystemProfile } from './system-profile.ts';

const MIB = 2 ** 20;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-space-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.each([
  ['this path will be fetched (0.00 MiB download, 0.01 MiB unpacked):\n  /nix/store/x', Math.ceil(0.01 * MIB)],
  ['these 214 paths will be fetched (512.31 MiB download, 2150.40 MiB unpacked):', Math.ceil(2150.4 * MIB)],
  ['these 3 paths will be fetched (4.1 KiB download, 12.5 KiB unpacked):', 12_800],
  ['these 3 paths will be fetched (1.1 GiB download, 2.0 GiB unpacked):', 2 ** 31],
  ['this path will be fetched (100 B download, 300 B unpacked):', 300],
  [
    'these 2 derivations will be built:\n/nix/store/x.drv\nthese 3 paths will be fetched (1.0 MiB download, 2.0 MiB unpacked):',
    2 * MIB,
  ],
  ['', undefined],
  ["error: don't know how to build these paths:", undefined],
])('%s', (said, bytes) => expect(bytesToFetch(said)).toBe(bytes));

test.each([
  [0, '0 B'],
  [2048, '2 KiB'],
  [800 * MIB, '800 MiB'],
  [Math.round(2.14 * 2 ** 30), '2.1 GiB'],
])('%d is %s', (bytes, words) => expect(sizeInWords(bytes)).toBe(words));

test('too little room is told with numbers and remedy', () => {
  const room = { needed: Math.round(2.1 * 2 ** 30), free: 800 * MIB, reserve: 512 * MIB, where: '/nix' };
  expect(roomFault(room, 'run nix-collect-garbage')).toBe(
    'it needs 2.1 GiB in /nix, 800 MiB are free there and 512 MiB must stay free; run nix-collect-garbage',
  );
  expect(roomFault({ ...room, free: 3 * 2 ** 30 }, '')).toBe(undefined);
  // Nothing to fetch needs no room, however full the disk is.
  expect(roomFault({ ...room, needed: 0, free: 0 }, '')).toBe(undefined);
});

test('the free room of a real folder is known, of none it is not', async () => {
  expect(await freeBytes(folder)).toBeGreaterThan(0);
  expect(await freeBytes(join(folder, 'none'))).toBe(undefined);
});

test.each([
  ['/nix/store/abc-linux-6.12/bzImage', 'abc-linux-6.12-bzImage'],
  ['/nix/store/abc-initrd', 'abc-initrd'],
])('the copy of %s is called %s', (path, name) => expect(copyName(path)).toBe(name));

async function closureWith(kernelBytes: number, initrdBytes: number): Promise<string> {
  const closure = join(folder, 'closure');
  await mkdir(closure);
  await writeFile(join(closure, 'kernel'), Buffer.alloc(kernelBytes));
  await writeFile(join(closure, 'initrd'), Buffer.alloc(initrdBytes));
  return closure;
}

test.each([
  { name: 'room for both', files: [], free: 13 * MIB, full: false },
  { name: 'room for one of them', files: [], free: 11 * MIB, full: true },
  { name: 'both are there already', files: ['kernel', 'initrd'], free: 0, full: false },
  { name: 'one of them is there already', files: ['kernel'], free: 10 * MIB, full: false },
])('systemd-boot: $name', async ({ files, free, full }) => {
  const closure = await closureWith(3 * MIB, 2 * MIB);
  const boot = join(folder, 'boot');
  await mkdir(join(boot, 'EFI/nixos'), { recursive: true });
  for (const name of files) await writeFile(join(boot, 'EFI/nixos', `${copyName(join(closure, name))}.efi`), '');
  const fault = await bootFault(boot, closure, async () => free);
  expect(fault === undefined).toBe(!full);
  if (full) expect(fault).toContain('it needs 5 MiB in /boot, 11 MiB are free there and 8 MiB must stay free');
});

test('a loader that copies nothing needs no room', async () => {
  const closure = await closureWith(MIB, MIB);
  expect(await bootFault(join(folder, 'boot'), closure, async () => 0)).toBe(undefined);
});

const generation = (number: number, ageDays: number): Generation => ({
  number,
  closure: `c${number}`,
  madeAtMs: -ageDays * 86_400_000,
});
const ten = Array.from({ length: 10 }, (_, index) => generation(index + 1, 10 - index));
const day = 86_400;

test.each([
  { name: 'no rule', rules: {}, gone: [] },
  { name: 'the newest three', rules: { keep: 3 }, gone: [1, 2, 3, 4, 5, 6, 7] },
  {
    name: 'younger than four days, and three at least',
    rules: { maxAgeSeconds: 4 * day },
    gone: [1, 2, 3, 4, 5, 6, 7],
  },
  { name: 'all are old: three stay', rules: { maxAgeSeconds: 1 }, gone: [1, 2, 3, 4, 5, 6, 7] },
  { name: 'by both, whichever keeps more', rules: { keep: 2, maxAgeSeconds: 6.5 * day }, gone: [1, 2, 3, 4] },
  { name: 'what is needed stays', rules: { keep: 1 }, needed: ['c2', 'c5'], gone: [1, 3, 4, 6, 7, 8, 9] },
])('generations: $name', ({ rules, needed = [], gone }) => {
  expect(surplus(ten, rules, { needed: new Set<string>(needed), nowMs: 0 })).toEqual(gone);
});

test('never the newest, never what is needed, never more than the rule says', () => {
  const generations = fc
    .uniqueArray(fc.nat({ max: 50 }), { maxLength: 20 })
    .map((numbers) => numbers.map((number) => generation(number, 50 - number)));
  fc.assert(
    fc.property(generations, fc.integer({ min: 1, max: 20 }), fc.array(fc.nat({ max: 50 })), (all, keep, needed) => {
      const names = new Set(needed.map((number) => `c${number}`));
      const gone = surplus(all, { keep }, { needed: names, nowMs: 0 });
      expect(all.length - gone.length).toBeGreaterThanOrEqual(Math.min(keep, all.length));
      for (const number of gone) expect(names.has(`c${number}`)).toBe(false);
      const newest = Math.max(...all.map((one) => one.number));
      expect(gone).not.toContain(newest);
    }),
  );
});

test('the profile itself: old generations go, the one it is at stays even when it is old', async () => {
  const paths = pathsUnder(folder);
  await mkdir(join(folder, 'nix/var/nix/profiles'), { recursive: true });
  const store = (digit: string) => `/nix/store/${digit.repeat(32)}-system`;
  for (const number of [1, 2, 3, 4]) {
    await symlink(store(String(number)), `${paths.profile}-${number}-link`);
  }
  // A person went back to an older one.
  await symlink('system-2-link', paths.profile);
  const profile = new SystemProfile(paths, runCommand);
  expect(await profile.prune({ keep: 1 }, new Set([store('1')]), Date.now() + 1e9)).toEqual([3]);
  expect((await profile.generations()).map(({ number }) => number)).toEqual([1, 2, 4]);
});
