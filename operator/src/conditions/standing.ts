// Where a machine stands towards its order: one classification of its status, from which all conditions follow.
import type { Attempt, Desired, NixMachine, NixMachineSpec } from '@floe/crds/nix-machine';
import { isPutBack, isToldAgain } from './goes-on.ts';
import { ownAttempt } from './own-attempt.ts';

/** Phases in which an attempt does no more. */
const FINAL = new Set(['Committed', 'RebootRequired', 'RolledBack', 'Unconfirmed', 'Failed', 'Cancelled']);
/** Phases in which nothing on the machine has changed yet. */
const PREPARING = new Set(['Waiting', 'Fetching', 'Fetched']);
/** Reasons in `status.waiting` that nothing but an edit of a spec resolves. */
const BLOCKED = new Set(['InvalidSpec', 'DuplicateKey']);

/**
 * - `blocked`: its spec is wrong, its key is not its own, or it refuses its order.
 * - `unordered`: nobody has told it what to run.
 * - `pending`: told, but it may not begin (fetch only) or can't (offline); it goes on as it was.
 * - `working`: it may begin, or has begun.
 * - `failed`: the attempt ended without the closure; `goesOn`: it is told again by itself.
 * - `diverged`: the attempt ended well, but something else runs now; `goesOn`: its agent puts that back.
 * - `settled`: it runs what it was told, or will at its next boot.
 */
export type Standing =
  | { kind: 'blocked'; reason: string; message: string }
  | { kind: 'unordered' }
  | { kind: 'pending'; desired: Desired; attempt?: Attempt }
  | { kind: 'working'; desired: Desired; attempt?: Attempt }
  | { kind: 'failed'; desired: Desired; attempt: Attempt; goesOn: boolean }
  | { kind: 'diverged'; desired: Desired; goesOn: boolean }
  | { kind: 'settled'; desired: Desired };

/** The spec of a machine; an API server without the present schema lets through objects without one. */
export function specOf(machine: NixMachine): Partial<NixMachineSpec> {
  return (machine.spec as NixMachineSpec | undefined) ?? {};
}

/** Whether an attempt in this phase is over. */
export function isFinal(phase: string): boolean {
  return FINAL.has(phase);
}

/** Whether the agent of the machine is connected, as of the last write. */
export function isOnline(machine: NixMachine): boolean {
  return machine.status?.connection?.online === true;
}

/** Whether the machine runs the closure that it was told; undefined while it has no order or was never heard of. */
export function runsDesired(machine: NixMachine): boolean | undefined {
  const { desired, current } = machine.status ?? {};
  return desired === undefined || current === undefined ? undefined : desired.closure === current.closure;
}

/** Whether no unit is failed; undefined while the machine was never heard of. */
export function isHealthy(machine: NixMachine): boolean | undefined {
  const { current, failedUnits } = machine.status ?? {};
  return current === undefined ? undefined : (failedUnits ?? []).length === 0;
}

/** Whether `spec.hold` is in force at `now`. A time that can't be read holds for ever: rather still than moved. */
export function isHeld(machine: NixMachine, now: Date): boolean {
  const { hold } = specOf(machine);
  return hold !== undefined && (hold.until === undefined || !(Date.parse(hold.until) <= now.getTime()));
}

/** Classifies the status of a machine; reads neither conditions nor the clock. */
export function standingOf(machine: NixMachine): Standing {
  const { waiting, desired } = machine.status ?? {};
  if (waiting !== undefined && BLOCKED.has(waiting.reason)) {
    return { kind: 'blocked', reason: waiting.reason, message: waiting.message };
  }
  if (desired === undefined) return { kind: 'unordered' };
  const own = ownAttempt(machine.status ?? {});
  const { refused } = machine.status?.agent ?? {};
  if (own === undefined && refused?.desiredId === desired.id) {
    return { kind: 'blocked', reason: 'OrderRefused', message: `refuses its order: ${refused.message}` };
  }
  return own === undefined ? beforeAttempt(machine, desired) : withAttempt(machine, desired, own);
}

function beforeAttempt(machine: NixMachine, desired: Desired): Standing {
  if (runsDesired(machine) === true && bootsDesired(machine, desired)) return { kind: 'settled', desired };
  return { kind: desired.go && isOnline(machine) ? 'working' : 'pending', desired };
}

function withAttempt(machine: NixMachine, desired: Desired, attempt: Attempt): Standing {
  if (!isFinal(attempt.phase)) {
    const waits = PREPARING.has(attempt.phase) && !(desired.go && isOnline(machine));
    return { kind: waits ? 'pending' : 'working', desired, attempt };
  }
  if (runsDesired(machine) === true || attempt.phase === 'RebootRequired') return { kind: 'settled', desired };
  if (attempt.phase === 'Committed') return { kind: 'diverged', desired, goesOn: isPutBack(machine) };
  return { kind: 'failed', desired, attempt, goesOn: isToldAgain(machine, desired, attempt) };
}

/** Whether the next boot starts what was told; an unknown boot default and mode `test` do not speak against it. */
function bootsDesired(machine: NixMachine, desired: Desired): boolean {
  const boot = machine.status?.bootDefault;
  return specOf(machine).activation?.mode === 'test' || boot === undefined || boot.closure === desired.closure;
}
