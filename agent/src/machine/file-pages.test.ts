// What the agent gives back, and when it keeps its hands off.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CommandResult, runCommand } from './command.ts';
import { type FilePagesPorts, giveBackFilePages, mappedFiles, readOwn } from './file-pages.ts';

const signal = AbortSignal.timeout(60_000);
const MAPS = `00400000-00d2e000 r--p 00000000 fe:00 1051 /nix/store/node/bin/node
00d2f000-0301a000 r-xp 0092e000 fe:00 1051 /nix/store/node/bin/node
0301c000-05a00000 r--p 02c1b000 fe:00 1051                               /nix/store/with a space/node
05a00000-05a20000 rw-p 055ff000 fe:00 1051 /nix/store/node/bin/node
2f8a0000-2fb11000 rw-p 00000000 00:00 0 [heap]
7f1c00000000-7f1c00021000 rw-p 00000000 00:00 0 
7f1c10000000-7f1c10001000 r--s 00000000 fe:00 77 /var/lib/shared
7ffd2b5f1000-7ffd2b5f3000 r-xp 00000000 00:00 0 [vdso]
`;
const STATUS = 'VmRSS:\t   62464 kB\nRssFile:\t   44032 kB\n';
const ok: CommandResult = { code: 0, stdout: '', stderr: '' };

test('files that are mapped and never written to', () => {
  expect(mappedFiles(MAPS)).toEqual([
    [0x400000, 0x92e000],
    [0xd2f000, 0x22eb000],
    [0x301c000, 0x29e4000],
  ]);
  expect(mappedFiles('')).toEqual([]);
});

test.each<{ name: string; arch?: string; result?: CommandResult; is: object; calls: number }>([
  { name: 'it is done', is: { kind: 'asked', before: 43 * 2 ** 20, after: 43 * 2 ** 20 }, calls: 1 },
  {
    name: 'no perl',
    result: { code: undefined, stdout: '', stderr: '', failure: 'perl is not in PATH' },
    is: { kind: 'left', why: 'perl is not in PATH' },
    calls: 1,
  },
  {
    name: 'a kernel without the call',
    result: { code: 38, stdout: '', stderr: 'process_madvise: Function not implemented\n' },
    is: { kind: 'left', why: 'process_madvise: Function not implemented' },
    calls: 1,
  },
  {
    name: 'an architecture with other numbers',
    arch: 'mips',
    is: { kind: 'left', why: 'not known how on mips' },
    calls: 0,
  },
])('$name', async ({ arch = 'arm64', result = ok, is, calls }) => {
  const called: (readonly string[])[] = [];
  const ports: FilePagesPorts = {
    command: async (program, args) => {
      called.push([program, ...args.filter((_, index) => index !== 1)]);
      return result;
    },
    read: async (name) => (name === 'maps' ? MAPS : STATUS),
    pid: 17,
    arch,
  };
  expect(await giveBackFilePages(ports, signal)).toEqual(is);
  const ranges = mappedFiles(MAPS).flat().map(String);
  expect(called).toEqual(calls === 0 ? [] : [['perl', '-e', '17', ...ranges]]);
});

/** A copy of Node that nobody else runs, on a disk: /tmp may be none. */
async function ownNode(): Promise<{ readonly program: string; readonly folder: string }> {
  const folder = await mkdtemp('/var/tmp/floe-file-pages-');
  const program = join(folder, 'node');
  await copyFile(process.execPath, program);
  const file = await open(program, 'r');
  await file.sync();
  await file.close();
  return { program, folder };
}

test('a real process loses pages of a program that is its own, and goes on', async () => {
  const { program, folder } = await ownNode();
  const child = spawn(program, ['-e', 'process.stdin.on("data", (text) => process.stdout.write(text))']);
  const echo = async (text: string) => {
    const answered = once(child.stdout, 'data', { signal });
    child.stdin.write(text);
    return String((await answered)[0]);
  };
  try {
    expect(await echo('a')).toBe('a');
    const { pid = 0 } = child;
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8');
    const given = await giveBackFilePages({ command: runCommand, read, pid, arch: process.arch }, signal);
    // Only root may, as the agent is.
    const isRoot = process.getuid?.() === 0;
    expect(given).toMatchObject(
      isRoot ? { kind: 'asked' } : { kind: 'left', why: expect.stringMatching(/not permitted/) },
    );
    if (given.kind === 'asked') expect(given.after).toBeLessThan(given.before / 2);
    expect(await echo('b')).toBe('b');
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});

test('its own mappings are told', async () => {
  expect(mappedFiles(await readOwn('maps')).length).toBeGreaterThan(0);
});
