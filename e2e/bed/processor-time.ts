// Processor time from the kernel's accounts: of a cgroup with all below it, and of this process with the children it has waited for.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const top = '/sys/fs/cgroup';
/** Ticks per second in /proc: `getconf CLK_TCK`, which is 100 on Linux. */
const TICKS = 100;

/** Seconds that everything in the cgroup `name` has used, processes that have ended included; 0 where there is no such cgroup. */
export async function cgroupSeconds(name: string): Promise<number> {
  const old = await readFile(join(top, 'cpuacct', name, 'cpuacct.usage'), 'utf8').catch(() => undefined);
  if (old !== undefined) return Number(old) / 1e9;
  const stat = await readFile(join(top, name, 'cpu.stat'), 'utf8').catch(() => '');
  return Number(/^usage_usec (\d+)/m.exec(stat)?.[1] ?? 0) / 1e6;
}

/** Seconds of this process and of the children that have ended. */
export async function processSeconds(): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'utf8');
  // utime, stime, cutime, cstime: the 14th to 17th field (proc_pid_stat(5)); the second may have spaces in it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}
