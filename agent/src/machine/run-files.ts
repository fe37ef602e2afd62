// The files beside the journal in which a run of switch-to-configuration says that it began and how it ended.
import { link, mkdir, open, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RunOutcome } from '../attempt/outcome.ts';

/** A process that can be told from a later one with the same number. */
export type ProcessId = { readonly pid: number; readonly startTicks: string; readonly bootId: string };

const startedFile = (runs: string, name: string) => join(runs, `${name}.started`);
const endedFile = (runs: string, name: string) => join(runs, `${name}.ended`);

async function json<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/** What tells the process from others, from /proc; undefined when it does not live. */
export async function identify(pid: number): Promise<ProcessId | undefined> {
  const [stat, bootId] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown'),
  ]);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields?.[19];
  if (startTicks === undefined || fields?.[0] === 'Z') return undefined;
  return { pid, startTicks, bootId: bootId.trim() };
}

/** Whether that very process still lives. */
export async function lives(process: ProcessId): Promise<boolean> {
  const now = await identify(process.pid);
  return now?.startTicks === process.startTicks && now.bootId === process.bootId;
}

/** Claims a run for this process; false when it was begun before, by whomever: a run happens once. */
export async function claimRun(runs: string, name: string): Promise<boolean> {
  await mkdir(runs, { recursive: true, mode: 0o700 });
  const path = startedFile(runs, name);
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, JSON.stringify(await identify(process.pid)));
  try {
    await link(draft, path);
    return true;
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

/** The process that claimed the run; undefined when nobody did yet. */
export async function runner(runs: string, name: string): Promise<ProcessId | undefined> {
  return json<ProcessId>(startedFile(runs, name));
}

/** Notes the process group of switch-to-configuration itself, which is not the wrapper's. */
export async function noteSwitchProcess(runs: string, name: string, pid: number): Promise<void> {
  await writeFile(join(runs, `${name}.switch`), JSON.stringify(await identify(pid)));
}

/** The switch-to-configuration of a run; undefined where it never began. */
export async function switchProcess(runs: string, name: string): Promise<ProcessId | undefined> {
  return json<ProcessId>(join(runs, `${name}.switch`));
}

/** Stores how a run ended, durably. */
export async function endRun(runs: string, name: string, outcome: RunOutcome): Promise<void> {
  const path = endedFile(runs, name);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(outcome));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** How a run ended; undefined while it has not, or left no word. */
export async function runEnd(runs: string, name: string): Promise<RunOutcome | undefined> {
  return json<RunOutcome>(endedFile(runs, name));
}

/** Forgets the runs of an attempt. */
export async function forgetRuns(runs: string, attempt: string): Promise<void> {
  const names = await readdir(runs).catch(() => []);
  await Promise.all(
    names.filter((name) => name.startsWith(`${attempt}-`)).map((name) => rm(join(runs, name), { force: true })),
  );
}
