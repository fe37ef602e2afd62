// What the agent gives back, and when it keeps its hands off: folders stand for /proc and /sys/fs/cgroup.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bytesToAsk, type FilePagesPlace, giveBackFilePages, ownFilePages } from './file-pages.ts';

const MIB = 2 ** 20;

test.each<{ name: string; file: number; mapped: number; shmem?: number; resident: number; is: number | string }>([
  { name: 'Node, read by the agent itself', file: 74, mapped: 41, resident: 43, is: 74 * MIB },
  { name: 'files that are on no disk', file: 74, mapped: 41, shmem: 4, resident: 43, is: 70 * MIB },
  { name: 'a small closure, which nobody runs', file: 200, mapped: 41, resident: 43, is: 200 * MIB },
  {
    name: 'Node, read by the agent before',
    file: 2,
    mapped: 1,
    resident: 43,
    is: 'the pages of its program are not charged to it',
  },
  { name: 'what others run', file: 200, mapped: 90, resident: 43, is: 'others use files that it has fetched' },
  { name: 'a large closure', file: 900, mapped: 41, resident: 43, is: 'the cache holds what it has fetched' },
])('$name: $is', ({ file, mapped, shmem = 0, resident, is }) => {
  const charged = { file: file * MIB, file_mapped: mapped * MIB, shmem: shmem * MIB };
  expect(bytesToAsk(charged, resident * MIB)).toBe(is);
});

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-file-pages-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const UNIT = 'floe-agent.service';
const SERVICE = `/system.slice/${UNIT}`;
const STAT = `anon ${18 * MIB}\nfile ${74 * MIB}\nkernel 0\nshmem 0\nfile_mapped ${41 * MIB}\n`;
const NO_SWAP = 'Filename\tType\tSize\tUsed\tPriority\n';

type Given = {
  readonly cgroup: string;
  readonly procs: string;
  readonly stat: string | undefined;
  readonly swaps: string;
  /** What the kernel answers to each write: nothing, or an error's code. */
  readonly answers: readonly (string | undefined)[];
};

const usual: Given = { cgroup: `0::${SERVICE}\n`, procs: '17\n', stat: STAT, swaps: NO_SWAP, answers: [undefined] };

/** The folders, and what was written where. */
async function place(given: Given): Promise<FilePagesPlace & { readonly written: string[] }> {
  const [cgroups, proc] = [join(folder, 'cgroup'), join(folder, 'proc')];
  await mkdir(join(proc, 'self'), { recursive: true });
  await mkdir(join(cgroups, SERVICE), { recursive: true });
  await writeFile(join(proc, 'self/cgroup'), given.cgroup);
  await writeFile(join(proc, 'self/status'), `VmRSS:\t   62464 kB\nRssFile:\t   ${43 * 1024} kB\n`);
  await writeFile(join(proc, 'swaps'), given.swaps);
  await writeFile(join(cgroups, SERVICE, 'cgroup.procs'), given.procs);
  if (given.stat !== undefined) await writeFile(join(cgroups, SERVICE, 'memory.stat'), given.stat);
  const written: string[] = [];
  return {
    cgroups,
    proc,
    pid: 17,
    unit: UNIT,
    written,
    async write(path, text) {
      const code = given.answers[written.length];
      written.push(`${path.slice(cgroups.length)}: ${text}`);
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      await writeFile(join(proc, 'self/status'), `RssFile:\t   ${11 * 1024} kB\n`);
    },
  };
}

const RECLAIM = `${SERVICE}/memory.reclaim`;
const FILES_ONLY = `${RECLAIM}: ${74 * MIB} swappiness=0`;
const ANY = `${RECLAIM}: ${74 * MIB}`;

test.each<{ name: string; change: Partial<Given>; written: readonly string[]; left?: string }>([
  { name: 'its own unit', change: {}, written: [FILES_ONLY] },
  { name: 'cgroups v1 beside it', change: { cgroup: `1:name=systemd:/x\n0::${SERVICE}\n` }, written: [FILES_ONLY] },
  { name: 'fewer bytes than were asked for', change: { answers: ['EAGAIN'] }, written: [FILES_ONLY] },
  { name: 'Linux before 6.9 without swap', change: { answers: ['EINVAL'] }, written: [FILES_ONLY, ANY] },
  {
    name: 'Linux before 6.9 with swap',
    change: { answers: ['EINVAL'], swaps: `${NO_SWAP}/dev/zram0\tpartition\t1\t0\t5\n` },
    written: [FILES_ONLY],
    left: 'this kernel would swap as well',
  },
  { name: 'Linux before 5.19', change: { answers: ['ENOENT'] }, written: [FILES_ONLY], left: 'ENOENT' },
  { name: 'read-only', change: { answers: ['EROFS'] }, written: [FILES_ONLY], left: 'EROFS' },
  { name: 'refused', change: { answers: ['EACCES'] }, written: [FILES_ONLY], left: 'EACCES' },
  { name: 'no controller of memory', change: { stat: undefined }, written: [], left: 'ENOENT' },
  { name: 'an empty memory.stat', change: { stat: '' }, written: [], left: 'the pages of its program' },
  { name: 'a child of it runs', change: { procs: '17\n99\n' }, written: [], left: 'other processes run in its unit' },
  { name: 'cgroups v1 alone', change: { cgroup: '5:memory:/system.slice\n' }, written: [], left: 'does not run as' },
  {
    name: 'a session of a user',
    change: { cgroup: '0::/user.slice/user-0.slice/session-3.scope\n' },
    written: [],
    left: 'does not run as floe-agent.service',
  },
  { name: 'another unit', change: { cgroup: `0::/system.slice/not-${UNIT}\n` }, written: [], left: 'does not run as' },
])('$name: $written', async ({ change, written, left }) => {
  const there = await place({ ...usual, ...change });
  const given = await giveBackFilePages(there);
  expect(there.written).toEqual(written);
  if (left === undefined) expect(given).toMatchObject({ kind: 'asked', before: 43 * MIB });
  else expect(given).toMatchObject({ kind: 'left', why: expect.stringContaining(left) });
});

test('what is left is told', async () => {
  expect(await giveBackFilePages(await place(usual))).toEqual({ kind: 'asked', before: 43 * MIB, after: 11 * MIB });
});

test('a file that is there is written, none is made', async () => {
  const { write } = ownFilePages(UNIT);
  const file = join(folder, 'memory.reclaim');
  await expect(write(file, '1')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(folder)).toEqual([]);
  await writeFile(file, '');
  await write(file, '2');
  expect(await readFile(file, 'utf8')).toBe('2');
});
