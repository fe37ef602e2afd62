// What a process costs, out of /proc: processor time and memory.
import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks in a second, on every Linux that Node runs on. */
const TICKS = 100;

/** Processor time that a process has used so far, in seconds; 0 when it is gone. */
export async function cpuSeconds(pid: number): Promise<number> {
  return cpuSecondsOf(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
}

/** The sum over several processes. */
export async function cpuSecondsOfAll(pids: readonly number[]): Promise<number> {
  return (await Promise.all(pids.map(cpuSeconds))).reduce((sum, seconds) => sum + seconds, 0);
}

/** The same from the text of /proc/PID/stat. */
export function cpuSecondsOf(stat: string): number {
  // The name in parentheses may hold anything, also spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return Number.isNaN(user + system) ? 0 : (user + system) / TICKS;
}

/** Memory of a process in MiB: resident now, and at most so far. */
export async function memoryMiB(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  return memoryOf(await readFile(`/proc/${pid}/status`, 'utf8'));
}

/** The same from the text of /proc/PID/status. */
export function memoryOf(status: string): { readonly now: number; readonly peak: number } {
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { now: kilobytes('VmRSS') / 1024, peak: kilobytes('VmHWM') / 1024 };
}

/** Numbers of the processes with that name, as far as this process sees them. */
export async function pidsNamed(name: string): Promise<number[]> {
  const pids: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue;
    const own = await readFile(`/proc/${entry}/comm`, 'utf8').catch(() => '');
    // The kernel keeps 15 characters.
    if (own.trim() === name.slice(0, 15)) pids.push(Number(entry));
  }
  return pids;
}
