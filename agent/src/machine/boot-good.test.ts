// A boot is called good once, and systemd is asked only where the loader counts.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pathsUnder } from '../paths.ts';
import { sayBootWasGood } from './boot-good.ts';
import type { Commander } from './command.ts';

let root = '';
let asked: string[] = [];
const command =
  (code: number): Commander =>
  async (program, args) => {
    asked.push([program, ...args].join(' '));
    return { code, stdout: '', stderr: code === 0 ? '' : 'Job failed.' };
  };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'floe-good-'));
  asked = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function counted(): Promise<void> {
  const { efivars } = pathsUnder(root);
  await mkdir(efivars, { recursive: true });
  const name = 'LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
  await writeFile(join(efivars, name), Buffer.concat([Buffer.alloc(4), Buffer.from('\\x+2-1.conf\0', 'utf16le')]));
}

const host = () => ({ ...pathsUnder(root), isHost: true });

test('a counted boot: the marker first, then systemd is asked, and never again in this boot', async () => {
  await counted();
  expect(await sayBootWasGood(host(), command(0))).toBe(undefined);
  expect(await readFile(host().bootGood, 'utf8')).toBe('good\n');
  expect(await sayBootWasGood(host(), command(0))).toBe(undefined);
  expect(asked).toEqual(['systemctl start systemd-bless-boot.service']);
});

test('a boot that is not counted has its marker only', async () => {
  expect(await sayBootWasGood(host(), command(0))).toBe(undefined);
  expect(asked).toEqual([]);
});

test('below a root nobody is asked', async () => {
  await counted();
  await sayBootWasGood(pathsUnder(root), command(0));
  expect(asked).toEqual([]);
});

test('what systemd refuses is said', async () => {
  await counted();
  expect(await sayBootWasGood(host(), command(1))).toBe('systemd-bless-boot.service failed: Job failed.');
});
