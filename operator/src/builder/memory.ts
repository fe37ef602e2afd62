// How much memory this container may use, and how many machines one evaluation can therefore take.
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';

const MIB = 2 ** 20;
/** Measured on real NixOS: what an evaluation takes before its first machine. */
const BASE_BYTES = 717 * MIB;
/** Measured on real NixOS: what each further machine takes. */
const MACHINE_BYTES = 150 * MIB;
/** What this process itself and the system keep. */
const RESERVE_BYTES = 160 * MIB;
/** More machines make an evaluation hardly cheaper, and a failure dearer. */
const MAX_MACHINES = 100;

const LIMITS = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'];

/** Bytes that this container may use: its limit, or the machine's memory. */
export async function memoryLimit(files: readonly string[] = LIMITS): Promise<number> {
  let limit = totalmem();
  for (const file of files) {
    const bytes = Number((await readFile(file, 'utf8').catch(() => '')).trim() || Number.NaN);
    if (Number.isFinite(bytes) && bytes > 0) limit = Math.min(limit, bytes);
  }
  return limit;
}

/** Machines that one evaluation takes in so much memory, at least 1. */
export function machinesByMemory(limitBytes: number): number {
  const machines = Math.floor((limitBytes - RESERVE_BYTES - BASE_BYTES) / MACHINE_BYTES);
  return Math.max(1, Math.min(MAX_MACHINES, machines));
}
