// How much memory the evaluations of this container may take together.
import { readFile } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';

/** What this process itself and the system keep. */
const RESERVE_BYTES = 160 * 2 ** 20;

const LIMITS = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'];

/** Bytes that this container may use: its limit; undefined where it has none. */
export async function memoryLimit(files: readonly string[] = LIMITS): Promise<number | undefined> {
  let limit = totalmem();
  for (const file of files) {
    const bytes = Number((await readFile(file, 'utf8').catch(() => '')).trim() || Number.NaN);
    if (Number.isFinite(bytes) && bytes > 0) limit = Math.min(limit, bytes);
  }
  return limit < totalmem() ? limit : undefined;
}

/** Bytes for all evaluations together. Without a limit half of what the node has free: other pods run there, too. */
export function evaluationBudget(limit: number | undefined, free: number = freemem()): number {
  return limit === undefined ? Math.floor(free / 2) : Math.max(RESERVE_BYTES, limit - RESERVE_BYTES);
}
