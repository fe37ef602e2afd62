// The health checks that ask systemd: no unit fails that had not failed before, and the named units are active.

import { checkSeconds, SETTLE_SECONDS } from '../attempt/limits.ts';
import type { Clock, HealthQuestion } from '../attempt/ports.ts';
import { graceSeconds } from './probe.ts';
import type { UnitState } from './units.ts';

export interface Units {
  /** Units that failed or wait for their restart. */
  troubled(signal: AbortSignal): Promise<readonly UnitState[]>;
  states(names: readonly string[], signal: AbortSignal): Promise<readonly UnitState[]>;
  /** Of units that were active, those that are off now though an active unit wants them: `left-off`, or `queued`. */
  off(names: readonly string[], signal: AbortSignal): Promise<readonly UnitState[]>;
}

const SAMPLE_MS = 1_000;
/** Samples in a row that must agree: one alone may fall between a failure and its restart. */
const AGREEING = 3;

/** What a check of units came to. */
export type Verdict =
  | { readonly kind: 'good' }
  | { readonly kind: 'bad'; readonly units: readonly UnitState[] }
  | { readonly kind: 'unsettled'; readonly units: readonly UnitState[] };

/** Samples until the verdict holds for a few samples, or the time is up. */
async function settle(
  sample: (signal: AbortSignal) => Promise<Verdict>,
  limits: { readonly limitSeconds: number; readonly agreeing?: number },
  clock: Clock,
  signal: AbortSignal,
): Promise<Verdict> {
  const end = clock.now().monotonicMs + limits.limitSeconds * 1000;
  const wanted = Math.max(AGREEING, limits.agreeing ?? 0);
  let agreeing = 0;
  let last: Verdict['kind'] | undefined;
  for (;;) {
    const verdict = await sample(signal);
    agreeing = verdict.kind === last ? agreeing + 1 : 1;
    last = verdict.kind;
    if (verdict.kind !== 'unsettled' && agreeing >= wanted) return verdict;
    if (clock.now().monotonicMs >= end) return verdict.kind === 'good' ? verdict : { ...verdict, kind: 'bad' };
    await clock.sleep(SAMPLE_MS, signal);
  }
}

/** The state of a unit in a few words. */
export function inWords(unit: UnitState): string {
  if (unit.sub === 'left-off') return `${unit.name} is off, though it ran before the switch and is wanted`;
  if (unit.sub === 'no-name')
    return `${unit.name} is not the name of a unit; a check takes no patterns, name each unit that must be active`;
  if (unit.sub === 'no-answer') return `systemd says nothing of ${unit.name}`;
  if (unit.sub === 'not-found') return `${unit.name} does not exist`;
  const code = unit.exitStatus === 0 ? '' : ` (exit code ${unit.exitStatus})`;
  if (unit.active === 'failed') return `${unit.name} failed${code}`;
  if (unit.sub === 'auto-restart') return `${unit.name} fails and is restarted again and again${code}`;
  return `${unit.name} is ${unit.active}${code}`;
}

/** The check that is always made. A unit that is restarted over and over counts as failed when the time is up. */
export async function nothingNewFailed(
  question: HealthQuestion,
  units: Units,
  clock: Clock,
  signal: AbortSignal,
): Promise<Verdict> {
  const restarts = new Map<string, number>();
  const sample = async (): Promise<Verdict> => {
    const troubled = (await units.troubled(signal)).filter((unit) => !question.failedBefore.includes(unit.name));
    const failed = troubled.filter((unit) => unit.active === 'failed');
    // A unit seen between two starts is watched from then on, since a later sample may find it up for a moment.
    for (const unit of troubled) restarts.set(unit.name, unit.restarts);
    if (failed.length > 0) return { kind: 'bad', units: failed };
    const off = (await units.off(question.activeBefore, signal)).filter(
      (unit) => !troubled.some(({ name }) => name === unit.name),
    );
    const left = off.filter((unit) => unit.sub === 'left-off');
    if (left.length > 0) return { kind: 'bad', units: left };
    if (troubled.length + off.length > 0) return { kind: 'unsettled', units: [...troubled, ...off] };
    if (restarts.size === 0) return { kind: 'good' };
    const watched = await units.states([...restarts.keys()], signal);
    const moved = watched.filter((unit) => unit.restarts !== restarts.get(unit.name));
    for (const unit of watched) restarts.set(unit.name, unit.restarts);
    return moved.length === 0 ? { kind: 'good' } : { kind: 'unsettled', units: moved };
  };
  return settle(sample, { limitSeconds: SETTLE_SECONDS }, clock, signal);
}

/** States of a unit that does not become active by waiting. */
const HOPELESS: ReadonlySet<string> = new Set(['failed', 'not-found', 'no-name']);

/** The named units are active; one that can't become so any more fails at once. */
export async function unitsActive(
  check: HealthQuestion['checks'][number],
  units: Units,
  clock: Clock,
  signal: AbortSignal,
): Promise<Verdict> {
  const names = check.systemd?.units ?? [];
  if (names.length === 0) return { kind: 'bad', units: [] };
  const sample = async (): Promise<Verdict> => {
    const inactive = (await units.states(names, signal)).filter((unit) => unit.active !== 'active');
    if (inactive.length === 0) return { kind: 'good' };
    const hopeless = inactive.filter((unit) => HOPELESS.has(unit.active) || HOPELESS.has(unit.sub));
    return hopeless.length > 0 ? { kind: 'bad', units: hopeless } : { kind: 'unsettled', units: inactive };
  };
  const grace = graceSeconds(check);
  if (grace > 0) await clock.sleep(grace * 1000, signal);
  return settle(sample, { limitSeconds: checkSeconds(check) - grace, agreeing: check.successes ?? 0 }, clock, signal);
}
