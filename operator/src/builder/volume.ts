// The files that pass from container to container; what `build` left is read as if a stranger had written it.
import { constants } from 'node:fs';
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isStorePath } from '@floe/crds/nix-fingerprint';
import { BuildFailure } from './failure.ts';
import { keptLock } from './lock.ts';

/** What `fetch` found: `locked.json`. */
export type Locked = {
  /** Locked flake reference. */
  readonly locked: string;
  /** Store path of the source. */
  readonly source: string;
  /** Lock file of all inputs; absent where a record can't keep it. */
  readonly lock?: string;
  /** When `fetch` started, milliseconds since 1970. */
  readonly startedAt: number;
};

/** Why a machine has no closure. */
export type MachineFailure = { readonly stage: 'Evaluation' | 'Build'; readonly message: string };

/** What `build` made: `built.json`. */
export type Built = {
  /** Closure by machine. */
  readonly closures: Readonly<Record<string, string>>;
  readonly failures: Readonly<Record<string, MachineFailure>>;
  readonly builtDerivations: number;
  readonly sandboxed: boolean;
};

const MAX_BYTES = 64 << 20;

/** Writes a file whole or not at all. */
export async function writeWork(work: string, name: string, value: Locked | Built): Promise<void> {
  await mkdir(work, { recursive: true });
  const temporary = join(work, `${name}.new`);
  await writeFile(temporary, JSON.stringify(value));
  await rename(temporary, join(work, name));
}

async function readWork(work: string, name: string): Promise<Record<string, unknown>> {
  const broken = (cause: unknown) =>
    new BuildFailure(
      `${name} on the Job's volume can't be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        remedy: 'an earlier container did not finish its work; see its log',
        cause,
      },
    );
  try {
    // A link could lead to a secret of this container; its text would then stand in an error.
    const handle = await open(join(work, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const found = await handle.stat();
      if (!found.isFile() || found.size > MAX_BYTES) throw new Error('it is no file of a sensible size');
      const value: unknown = JSON.parse(await handle.readFile('utf8'));
      if (typeof value !== 'object' || value === null) throw new Error('it is no JSON object');
      return value as Record<string, unknown>;
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw broken(cause instanceof SyntaxError ? new Error('it is no JSON') : cause);
  }
}

const refuse = (name: string, field: string): BuildFailure =>
  new BuildFailure(`${name} on the Job's volume is not as it should be: ${field}`, {
    remedy: 'see the log of the container build',
  });

/** @throws BuildFailure when it is not there or malformed */
export async function readLocked(work: string): Promise<Locked> {
  const { locked, source, startedAt, lock } = await readWork(work, 'locked.json');
  if (typeof locked !== 'string' || locked.length > 2048) throw refuse('locked.json', 'locked');
  if (typeof source !== 'string' || !isStorePath(source)) throw refuse('locked.json', 'source');
  if (typeof startedAt !== 'number' || !Number.isFinite(startedAt)) throw refuse('locked.json', 'startedAt');
  if (lock !== undefined && (typeof lock !== 'string' || keptLock(lock) !== lock)) throw refuse('locked.json', 'lock');
  return { locked, source, startedAt, ...(lock === undefined ? {} : { lock }) };
}

function isFailure(value: unknown): value is MachineFailure {
  if (typeof value !== 'object' || value === null) return false;
  const { stage, message } = value as Record<string, unknown>;
  return (stage === 'Evaluation' || stage === 'Build') && typeof message === 'string' && message.length <= 2048;
}

function record<T>(value: unknown, check: (part: unknown) => part is T, field: string): Record<string, T> {
  if (typeof value !== 'object' || value === null) throw refuse('built.json', field);
  const out: Record<string, T> = Object.create(null);
  for (const [name, part] of Object.entries(value)) {
    if (!check(part)) throw refuse('built.json', `${field}.${name}`.slice(0, 200));
    out[name] = part;
  }
  return out;
}

const isClosure = (value: unknown): value is string => typeof value === 'string' && isStorePath(value);

/**
 * Reads what `build` made and keeps only the machines that were asked for; each has a closure or a failure.
 * @throws BuildFailure when it is not there or malformed
 */
export async function readBuilt(work: string, machines: readonly string[]): Promise<Built> {
  const raw = await readWork(work, 'built.json');
  const closures = record(raw['closures'], isClosure, 'closures');
  const failures = record(raw['failures'], isFailure, 'failures');
  const count = raw['builtDerivations'];
  if (!Number.isSafeInteger(count) || (count as number) < 0) throw refuse('built.json', 'builtDerivations');
  const kept: { closures: Record<string, string>; failures: Record<string, MachineFailure> } = {
    closures: {},
    failures: {},
  };
  for (const machine of machines) {
    const closure = closures[machine];
    if (closure !== undefined) kept.closures[machine] = closure;
    else
      kept.failures[machine] = failures[machine] ?? {
        stage: 'Build',
        message: 'the build said nothing about this machine; see its log',
      };
  }
  return { ...kept, builtDerivations: count as number, sandboxed: raw['sandboxed'] === true };
}
