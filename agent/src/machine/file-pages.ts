// Gives pages of program files that a waiting agent does not use back to the kernel, through the memory.reclaim of its own cgroup.
import { constants, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type FilePagesPlace = {
  /** Where the hierarchy of cgroups (v2) is, `/sys/fs/cgroup`. */
  readonly cgroups: string;
  /** `/proc`. */
  readonly proc: string;
  readonly pid: number;
  /** The agent's own unit; elsewhere nothing is given back. */
  readonly unit: string;
  /** Writes a file that is there, and makes none. */
  readonly write: (path: string, text: string) => Promise<void>;
};

/** `asked`: bytes of program files that were resident before and after. `left`: nothing was changed. */
export type GivenBack =
  | { readonly kind: 'asked'; readonly before: number; readonly after: number }
  | { readonly kind: 'left'; readonly why: string };

/** What is charged to a cgroup, in bytes, as its memory.stat has it. */
export type Charged = {
  /** Cache of files, with that of tmpfs. */
  readonly file: number;
  /** That part of `file` that somebody has mapped, also processes of other cgroups. */
  readonly file_mapped: number;
  /** That part of `file` that is on no disk. */
  readonly shmem: number;
};

const MIB = 2 ** 20;
/** Less is not worth reading back what turns out to be used. */
const LEAST = 8 * MIB;
/** Mapped pages above the agent's own: other services run what the agent has fetched, and must not lose it. */
const OTHERS = 16 * MIB;
/** More is the cache of what was fetched just now, which somebody will read. */
const MOST = 256 * MIB;

/** How many bytes to ask for, or why none. `resident` are the agent's own pages of files. */
export function bytesToAsk({ file, file_mapped, shmem }: Charged, resident: number): number | string {
  // The agent that ran before, or whoever else read the program first, has these pages.
  if (file_mapped < LEAST) return 'the pages of its program are not charged to it';
  if (file_mapped > resident + OTHERS) return 'others use files that it has fetched';
  if (file - shmem > MOST) return 'the cache holds what it has fetched';
  return file - shmem;
}

const numberAfter = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);

function charged(stat: string): Charged {
  return {
    file: numberAfter(stat, /^file (\d+)$/m),
    file_mapped: numberAfter(stat, /^file_mapped (\d+)$/m),
    shmem: numberAfter(stat, /^shmem (\d+)$/m),
  };
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Asks for that many bytes. Undefined when the kernel did what it could, else why it did nothing. */
async function ask(bytes: number, file: string, place: FilePagesPlace): Promise<string | undefined> {
  const write = (text: string) =>
    place.write(file, text).then(
      () => undefined,
      (error: unknown) => codeOf(error) ?? String(error),
    );
  // Without swapping out the agent's own memory, which it would read back at the next heartbeat.
  let refused = await write(`${bytes} swappiness=0`);
  if (refused === 'EINVAL') {
    // Linux before 6.9 has no such key; without swap none is needed.
    const swaps = await readFile(join(place.proc, 'swaps'), 'utf8');
    if (swaps.trim().split('\n').length > 1) return 'this kernel would swap as well';
    refused = await write(String(bytes));
  }
  // Fewer bytes than were asked for: some are in use.
  return refused === 'EAGAIN' ? undefined : refused;
}

async function tryToGiveBack(place: FilePagesPlace): Promise<GivenBack> {
  const left = (why: string): GivenBack => ({ kind: 'left', why });
  const self = join(place.proc, 'self');
  const path = /^0::(\/.*)$/m.exec(await readFile(join(self, 'cgroup'), 'utf8'))?.[1];
  if (path === undefined || !path.endsWith(`/${place.unit}`)) return left(`it does not run as ${place.unit}`);
  const folder = join(place.cgroups, path);
  const [processes, stat] = await Promise.all([
    readFile(join(folder, 'cgroup.procs'), 'utf8'),
    readFile(join(folder, 'memory.stat'), 'utf8'),
  ]);
  if (processes.trim() !== String(place.pid)) return left('other processes run in its unit');
  const resident = async () =>
    numberAfter(await readFile(join(self, 'status'), 'utf8'), /^RssFile:\s+(\d+) kB$/m) * 1024;
  const before = await resident();
  const bytes = bytesToAsk(charged(stat), before);
  if (typeof bytes === 'string') return left(bytes);
  const refused = await ask(bytes, join(folder, 'memory.reclaim'), place);
  return refused === undefined ? { kind: 'asked', before, after: await resident() } : left(refused);
}

/**
 * Asks the kernel to take back clean pages of files that are charged to the agent's unit; those in use are read again.
 * Best effort: without cgroups v2, Linux 5.19 or leave to write, nothing happens.
 */
export function giveBackFilePages(place: FilePagesPlace): Promise<GivenBack> {
  return tryToGiveBack(place).catch((error: unknown) => ({ kind: 'left', why: codeOf(error) ?? String(error) }));
}

/** This process, as the unit of that name. */
export function ownFilePages(unit: string): FilePagesPlace {
  return {
    cgroups: '/sys/fs/cgroup',
    proc: '/proc',
    pid: process.pid,
    unit,
    write: (path, text) => writeFile(path, text, { flag: constants.O_WRONLY }),
  };
}
