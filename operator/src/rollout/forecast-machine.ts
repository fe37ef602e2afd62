// What a machine of a forecast does with its order: it fetches, switches and is well, each in its time.
import { FINAL_PHASES } from '@floe/crds/attempt-phase';
import type { Attempt, Desired, NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { rfc3339, rfc3339Exact } from '@floe/crds/rfc3339';
import { timeMs } from '../conditions/moment.ts';
import { ownAttempt } from '../conditions/own-attempt.ts';
import type { Pace } from './forecast-pace.ts';
import { orderChanges } from './order-desired.ts';
import type { Order } from './tell.ts';

/** When a machine answers, in ms, and how it is then. */
export type Answer = { readonly at: number; readonly machine: NixMachine };

/** The machine once the order stands in its status. */
export function withOrder(
  machine: NixMachine,
  order: Order,
  giver: { readonly rollout: string; readonly run: string; readonly go: boolean; readonly now: number },
): NixMachine {
  return withStatus(machine, orderChanges(machine, order, giver) as NixMachineStatus);
}

/**
 * The answer of a machine to the order that it has; undefined where it has none, has answered, or is offline: such a
 * machine stays offline. One that is late already is assumed to answer after the time of a switch.
 */
export function answerOf(machine: NixMachine, pace: Pace, now: number): Answer | undefined {
  const desired = openOrder(machine);
  if (desired === undefined || machine.status?.connection?.online !== true) return undefined;
  const own = ownAttempt(machine.status ?? {});
  const goMs = own?.phase === 'Fetched' ? pace.switchMs : pace.goMs;
  const due = (timeMs(desired.rebootSince ?? desired.since) ?? now) + (desired.go ? goMs : pace.fetchMs);
  const at = due > now ? due : now + (desired.go ? pace.switchMs : pace.fetchMs);
  return { at, machine: desired.go ? committed(machine, at) : fetched(machine, at) };
}

/** The order that the machine has something to do for. */
function openOrder(machine: NixMachine): Desired | undefined {
  const { desired, attempt, current } = machine.status ?? {};
  const own = ownAttempt(machine.status ?? {});
  const restarts = desired?.reboot === true && own?.phase === 'RebootRequired';
  if (desired === undefined || (own !== undefined && isOver(own) && !restarts)) return undefined;
  if (own === undefined && current?.closure === desired.closure && attemptIsOver(attempt)) return undefined;
  return !desired.go && own?.phase === 'Fetched' ? undefined : desired;
}

const isOver = (attempt: Attempt): boolean =>
  (FINAL_PHASES as readonly string[]).includes(attempt.phase) || attempt.finishedAt !== undefined;

const attemptIsOver = (attempt: Attempt | undefined): boolean => attempt === undefined || isOver(attempt);

function fetched(machine: NixMachine, at: number): NixMachine {
  const { desired, current } = machine.status ?? {};
  if (desired === undefined) return machine;
  return withStatus(machine, { attempt: attemptAt(desired, 'Fetched', { from: current?.closure, at }) });
}

/** Carried out, and well: what was sick is repaired by the new closure. */
function committed(machine: NixMachine, at: number): NixMachine {
  const { desired, current, conditions } = machine.status ?? {};
  if (desired === undefined) return machine;
  const attempt = attemptAt(desired, 'Committed', { from: current?.closure, at });
  const running = { closure: desired.closure, revision: desired.revision };
  return withStatus(machine, {
    attempt: { ...attempt, finishedAt: rfc3339Exact(at) },
    current: current?.closure === running.closure ? current : { ...running, since: rfc3339(at) },
    bootDefault: running,
    failedUnits: [],
    conditions: (conditions ?? []).filter(({ type }) => type !== 'Healthy' && type !== 'UpToDate'),
  });
}

function attemptAt(desired: Desired, phase: string, { from, at }: { from: string | undefined; at: number }): Attempt {
  const { id, revision, closure } = desired;
  return {
    desiredId: id,
    revision,
    to: closure,
    phase,
    startedAt: rfc3339Exact(Math.min(at, timeMs(desired.since) ?? at)),
    ...(from === undefined ? {} : { from }),
  };
}

function withStatus(machine: NixMachine, changes: NixMachineStatus): NixMachine {
  return { ...machine, status: { ...machine.status, ...changes } };
}
