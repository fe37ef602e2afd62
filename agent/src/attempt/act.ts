// Does one step of an attempt through the ports and says what came of it. Decides nothing: next.ts does.
import { backoffMs } from '../backoff.ts';
import { timerSeconds, undoSeconds } from './limits.ts';
import { attemptName, runName } from './names.ts';
import type { Confirmation, Done, Fetched, Outcome } from './outcome.ts';
import { type AttemptPorts, beforeOf, type Machine, type Run } from './ports.ts';
import type { AttemptRecord, Order } from './record.ts';

async function arm(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal): Promise<Done> {
  const { program, system } = beforeOf(record);
  const seconds = timerSeconds(record.order, record.step);
  return ports.machine.arm(
    { attempt: attemptName(record.order), number: record.armed + 1, seconds, program, from: system },
    signal,
  );
}

/** The system that an order brings: the closure, or its specialisation. */
function systemOf({ closure, specialisation }: Order): string {
  return specialisation === undefined ? closure : `${closure}/specialisation/${specialisation}`;
}

/** The run that the record is at. */
export function runOf(record: AttemptRecord): Run {
  const { order } = record;
  const common = { name: runName(record), limitSeconds: order.switchTimeoutSeconds };
  const back = { name: runName(record), limitSeconds: undoSeconds(order), skipChecks: true };
  const before = beforeOf(record);
  switch (record.step) {
    case 'switch':
      return { ...common, closure: systemOf(order), verb: 'test', skipChecks: false };
    case 'boot':
      return { ...common, closure: order.closure, verb: 'boot', skipChecks: false };
    case 'undo-boot':
      return { ...back, closure: record.leftProfile ?? before.profile ?? before.system, verb: 'boot' };
    default:
      return { ...back, closure: before.system, verb: 'test' };
  }
}

async function run(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal) {
  // The lock was taken, or the way back failed: give whatever is in the way time.
  const tries = Math.max(record.lockTries, record.undoTries ?? 0);
  if (tries > 0) await ports.clock.sleep(Math.min(10_000, 250 * 2 ** tries), signal);
  return ports.machine.run(runOf(record), signal);
}

async function specialisation(
  { closure, specialisation: name }: Order,
  machine: Machine,
): Promise<{ readonly path?: string; readonly complaint?: string }> {
  if (name === undefined) return {};
  const path = await machine.specialisation?.(closure, name);
  return path === undefined ? { complaint: `${closure} has no specialisation ${name}.` } : { path };
}

/** Why the machine must not be switched to what an order brings; undefined when it may. */
async function unfitFor(order: Order, machine: Machine): Promise<string | undefined> {
  const system = systemOf(order);
  const complaint = await machine.complaint(system);
  if (complaint !== undefined || order.withoutAgent === true) return complaint;
  return machine.missingAgent?.(system);
}

async function begin(record: AttemptRecord, { machine }: AttemptPorts, signal: AbortSignal): Promise<Outcome> {
  const { order } = record;
  const target = await specialisation(order, machine);
  const [seen, failedUnits, activeUnits, online] = await Promise.all([
    machine.see(),
    machine.failedUnits(signal),
    machine.activeUnits?.(signal),
    order.whenOnline ? machine.online?.() : undefined,
  ]);
  const complaint = target.complaint ?? (await unfitFor(order, machine));
  const inhibitors =
    seen.current === undefined || order.mode === 'boot'
      ? undefined
      : await machine.inhibitors?.(seen.current, systemOf(order));
  if (seen.current !== undefined) await machine.keepWayBack(seen.current);
  return {
    step: 'begin',
    seen,
    failedUnits,
    program: machine.program,
    ...(target.path === undefined ? {} : { target: target.path }),
    ...(inhibitors === undefined ? {} : { inhibitors }),
    ...(activeUnits === undefined ? {} : { activeUnits }),
    ...(online === undefined ? {} : { online }),
    ...(complaint === undefined ? {} : { complaint }),
  };
}

/** Asks again and again, each time over a new connection, until it has an answer or the time is up. */
async function confirm(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal): Promise<Confirmation> {
  const { order, confirmBy } = record;
  const { clock, hub } = ports;
  const limit = order.confirmTimeoutSeconds * 1000;
  // Never longer than the limit, even where the deadline was read from a damaged or foreign journal.
  const end = Math.min(confirmBy ?? Number.POSITIVE_INFINITY, clock.now().monotonicMs + limit);
  let last = 'there was no time left to try';
  for (let tries = 0; clock.now().monotonicMs < end; tries++) {
    const left = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(end - clock.now().monotonicMs)))]);
    const answer = await hub.confirm(order.id, order.closure, left);
    signal.throwIfAborted();
    if (answer.kind !== 'unreachable') return answer;
    last = answer.message;
    if (order.whenOnline && beforeOf(record).online === false && (await ports.machine.online?.()) === false) {
      const message =
        'Nobody confirmed it: the machine has no route to anywhere, and had none before. Its own checks passed.';
      return { kind: 'offline', message };
    }
    const pause = Math.min(backoffMs(tries, { baseMs: 500, maxMs: 5_000 }), end - clock.now().monotonicMs);
    if (pause > 0) await clock.sleep(pause, signal);
  }
  const message = `The hub could not be reached over a new connection within ${order.confirmTimeoutSeconds} s (${last}).`;
  return { kind: 'unreachable', message };
}

/** Between two tries of a fetch while there is no route to anywhere. */
const NO_ROUTE_PAUSE_MS = 30_000;

/**
 * Fetches. What fails for want of any route is no failure: it goes on when there is one. What the machine must not be
 * switched to is refused at once, before it waits for a go.
 */
async function fetch(order: Order, { machine, note, clock }: AttemptPorts, signal: AbortSignal): Promise<Fetched> {
  for (;;) {
    const result = await machine.fetch(order, note, signal);
    if (result.kind === 'fetched') {
      const unfit = order.specialisation === undefined ? await unfitFor(order, machine) : undefined;
      return unfit === undefined ? result : { kind: 'refused', message: unfit };
    }
    const patient = result.kind === 'unavailable' && order.origin === 'hub';
    if (!patient || (await machine.online?.()) !== false) return result;
    note(`There is no route to anywhere; fetching goes on when there is one. ${result.message}`);
    await clock.sleep(NO_ROUTE_PAUSE_MS, signal);
  }
}

/** Puts the profile back, unless somebody set it to something else by hand: that is not ours to undo. */
async function undoProfile(record: AttemptRecord, machine: Machine, signal: AbortSignal): Promise<Outcome> {
  const { order } = record;
  const { profile } = beforeOf(record);
  const now = (await machine.see()).profile;
  if (now !== undefined && now !== order.closure && now !== profile) {
    return { step: 'undo-profile', result: { kind: 'ok' }, left: now };
  }
  return { step: 'undo-profile', result: await machine.restoreProfile(profile, order.closure, signal) };
}

/** Does the step that the record is at. Rejects only when the signal aborts or the machine can't be used at all. */
export async function act(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal): Promise<Outcome> {
  const { machine } = ports;
  const { step, order } = record;
  switch (step) {
    case 'fetch':
      return { step, result: await fetch(order, ports, signal) };
    case 'await-go':
      return { step, order: await ports.awaitGo(order, signal) };
    case 'begin':
      return begin(record, ports, signal);
    case 'arm-switch':
    case 'arm-start':
    case 'arm-health':
    case 'arm-commit':
    case 'arm-undo':
      return { step, result: await arm(record, ports, signal), current: (await machine.see()).current };
    case 'switch': {
      const ended = await run(record, ports, signal);
      const [seen, unfinished] = await Promise.all([machine.see(), machine.unfinished()]);
      return { step, run: ended, current: seen.current, unfinished, handOver: machine.handOver !== undefined };
    }
    case 'hand-over':
      await machine.handOver?.(signal);
      return { step };
    case 'health': {
      const question = {
        checks: order.healthChecks,
        failedBefore: beforeOf(record).failedUnits,
        // Across a boot units come and go by themselves.
        activeBefore: record.cameUp ? [] : (beforeOf(record).activeUnits ?? []),
        exitCode: record.exitCode,
        ...(record.said === undefined ? {} : { said: record.said }),
        ...(record.blamedUnits === undefined ? {} : { blamed: record.blamedUnits }),
      };
      return { step, result: await machine.checkHealth(question, signal) };
    }
    case 'confirm':
      return { step, result: await confirm(record, ports, signal) };
    case 'profile':
      return { step, result: await machine.setProfile(order.closure, signal, order.generations) };
    case 'stand-down':
      await machine.disarm(attemptName(order), record.armed + 1);
      return { step, canReboot: machine.reboot !== undefined };
    case 'await-reboot':
      return { step, order: await ports.awaitReboot(order, signal) };
    case 'restart':
      return { step, result: (await machine.reboot?.(signal)) ?? { kind: 'failed', message: 'not ours to do here' } };
    case 'undo-profile':
      return undoProfile(record, machine, signal);
    case 'undo-units': {
      const units = beforeOf(record).activeUnits ?? [];
      return { step, result: (await machine.startUnits?.(units, signal)) ?? { kind: 'ok' } };
    }
    case 'boot':
      return { step, run: await run(record, ports, signal), seen: await machine.see() };
    case 'undo-boot':
    case 'undo-system':
      return { step, run: await run(record, ports, signal) };
    case 'undo-check': {
      const [seen, failedUnits] = await Promise.all([machine.see(), machine.failedUnits(signal)]);
      return { step, seen, failedUnits, canReboot: machine.reboot !== undefined };
    }
    case 'reboot':
      return { step, result: (await machine.reboot?.(signal)) ?? { kind: 'failed', message: 'not ours to do here' } };
    case 'disarm':
      await machine.disarm(attemptName(order), record.armed + 1);
      return { step };
    case 'done':
      throw new Error(`attempt ${order.id} is done already`);
  }
}
