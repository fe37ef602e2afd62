// Gives pages of program files that a waiting agent does not use back to the kernel: Node's own file is most of what is resident.
import { readFile } from 'node:fs/promises';
import type { Commander } from './command.ts';

/** `asked`: bytes of files that were resident before and after. `left`: nothing was changed. */
export type GivenBack =
  | { readonly kind: 'asked'; readonly before: number; readonly after: number }
  | { readonly kind: 'left'; readonly why: string };

export type FilePagesPorts = {
  readonly command: Commander;
  /** Reads `maps` or `status` of this process from /proc. */
  readonly read: (name: 'maps' | 'status') => Promise<string>;
  readonly pid: number;
  /** As `process.arch` has it. */
  readonly arch: string;
};

/** Start and length of mapped memory, in bytes. */
type Range = readonly [start: number, length: number];

/** Where pidfd_open(2) is 434 and process_madvise(2) is 440: the kernel's common table of system calls. */
const ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'riscv64'];
const LIMIT_SECONDS = 20;

/** 21 is MADV_PAGEOUT. What one range comes to does not matter for the next. */
const PAGE_OUT = `
my ($pid, @ranges) = map { $_ + 0 } @ARGV;
my $process = syscall(434, $pid, 0);
die "pidfd_open: $!\\n" if $process < 0;
my ($done, $why) = (0, 'nothing is mapped');
while (my ($start, $length) = splice(@ranges, 0, 2)) {
  if (syscall(440, $process, pack('Q2', $start, $length), 1, 21, 0) < 0) { $why = $! } else { $done++ }
}
die "process_madvise: $why\\n" if $done == 0;
`;

const MAPPED_FILE = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [1-9]\d* +\//;

/** What is mapped of files and never written to, from the text of /proc/PID/maps (proc_pid_maps(5)). */
export function mappedFiles(maps: string): Range[] {
  return maps.split('\n').flatMap((line): Range[] => {
    const [, first, end] = MAPPED_FILE.exec(line) ?? [];
    if (first === undefined || end === undefined) return [];
    const start = Number.parseInt(first, 16);
    return [[start, Number.parseInt(end, 16) - start]];
  });
}

const residentOf = (status: string): number => Number(/^RssFile:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;

/**
 * Tells the kernel (5.10 or later) to drop this process's pages of files; those in use are read again. Pages that another
 * process has mapped, too, stay. Perl makes the call, since Node can't; without it nothing happens. Rejects only when the
 * signal aborts.
 */
export async function giveBackFilePages(
  { command, read, pid, arch }: FilePagesPorts,
  signal: AbortSignal,
): Promise<GivenBack> {
  if (!ARCHITECTURES.includes(arch)) return { kind: 'left', why: `not known how on ${arch}` };
  const [maps, status] = await Promise.all([read('maps'), read('status')]);
  const args = ['-e', PAGE_OUT, String(pid), ...mappedFiles(maps).flat().map(String)];
  const { code, stderr, failure } = await command('perl', args, { signal, limitSeconds: LIMIT_SECONDS });
  if (code !== 0) return { kind: 'left', why: failure ?? stderr.trim().slice(0, 200) };
  return { kind: 'asked', before: residentOf(status), after: residentOf(await read('status')) };
}

/** Reads of this process. */
export function readOwn(name: 'maps' | 'status'): Promise<string> {
  return readFile(`/proc/self/${name}`, 'utf8');
}
