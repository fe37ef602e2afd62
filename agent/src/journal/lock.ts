// One process at a time acts on the machine: a lock that the kernel drops when its holder dies.
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A held lock. */
export type Held = { release(): void };

const POLL_MS = 100;

/**
 * Takes the lock or returns undefined when someone else has it. Node has no flock; SQLite's exclusive transaction on
 * an empty database is a POSIX lock, which no crash leaves behind.
 */
export async function tryLock(path: string): Promise<Held | undefined> {
  const { DatabaseSync } = await import('node:sqlite');
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error: unknown) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return undefined;
    throw error;
  }
  await writeFile(`${path}.holder`, `${process.pid}\n`);
  return { release: () => database.close() };
}

/** Waits for the lock; rejects when the signal aborts. */
export async function lock(path: string, signal: AbortSignal): Promise<Held> {
  for (;;) {
    const held = await tryLock(path);
    if (held !== undefined) return held;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Process that took the lock last; it need not live any more. */
export async function lastHolder(path: string): Promise<number | undefined> {
  const pid = Number.parseInt(await readFile(`${path}.holder`, 'utf8').catch(() => ''), 10);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}
