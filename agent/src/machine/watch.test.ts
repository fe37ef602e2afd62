// What wakes the agent: the links and files that matter, and nothing else.
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lineLog } from '../log.ts';
import { type Paths, pathsUnder } from '../paths.ts';
import { type Watching, watchMachine } from './watch.ts';

let paths: Paths;
let watching: Watching | undefined;
let changes = 0;

beforeEach(async () => {
  paths = pathsUnder(await mkdtemp(join(tmpdir(), 'floe-watch-')));
  changes = 0;
  for (const folder of [dirname(paths.currentSystem), dirname(paths.profile), paths.state, join(paths.boot, 'grub')]) {
    await mkdir(folder, { recursive: true });
  }
  await symlink('/nix/store/old', paths.currentSystem);
});
afterEach(async () => {
  watching?.close();
  await rm(paths.root, { recursive: true, force: true });
});

const start = () => {
  const lines: string[] = [];
  watching = watchMachine(
    paths,
    () => changes++,
    lineLog((line) => lines.push(line), false),
  );
  return lines;
};
const woken = async () => {
  for (let tries = 0; changes === 0 && tries < 200; tries++) await sleep(10);
  return changes > 0;
};

/** As Nix and NixOS change links: made beside, then put in place. */
async function relink(link: string): Promise<void> {
  await symlink('/nix/store/new', `${link}.new`);
  await rename(`${link}.new`, link);
}

test.each<[string, () => Promise<void>]>([
  ['what runs', () => relink(paths.currentSystem)],
  ['the system profile', () => relink(paths.profile)],
  ["the loader's menu", () => writeFile(join(paths.boot, 'grub/grub.cfg'), 'set default=1')],
  ['an attempt of another process', () => writeFile(join(paths.state, 'journal'), '')],
  ['floe-agent release', () => writeFile(join(paths.state, 'release'), '')],
])('%s wakes it', async (_, change) => {
  start();
  await change();
  expect(await woken()).toBe(true);
});

test('everything else in these folders does not, and folders that are not there are no fault', async () => {
  const lines = start();
  await writeFile(join(dirname(paths.currentSystem), 'utmp'), 'x');
  await writeFile(join(paths.state, 'journal.new'), 'x');
  await writeFile(`${paths.profile}-7-link`, 'x');
  await writeFile(join(paths.state, 'truth.json'), 'x');
  // Events come in their order: when this one is told, all before it were.
  const told = once(watch(paths.state), 'change');
  await writeFile(join(paths.state, 'last'), '');
  await told;
  expect(changes).toBe(0);
  expect(lines).toEqual([]);
});
