// Does one step of an attempt through the ports and says what came of it. Decides nothing: next.ts does.
import { backoffMs } from '../backoff.ts';
import { timerSeconds } from './limits.ts';
import { attemptName, runName } from './names.ts';
import type { Confirmation, Done, Outcome } from './outcome.ts';
import { type AttemptPorts, beforeOf, type Run } from './ports.ts';
import type { AttemptRecord } from './record.ts';
import { undoesAtOnce } from './way-back.ts';

async function arm(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal): Promise<Done> {
  const { program, system } = beforeOf(record);
  const seconds = timerSeconds(record.order, record.step);
  return ports.machine.arm(
    { attempt: attemptName(record.order), number: record.armed + 1, seconds, program, from: system },
    signal,
  );
}

/** The run that the record is at. */
export function runOf(record: AttemptRecord): Run {
  const { order } = record;
  const common = { name: runName(record), limitSeconds: order.switchTimeoutSeconds };
  const before = beforeOf(record);
  switch (record.step) {
    case 'switch':
      return { ...common, closure: order.closure, verb: 'test', skipChecks: false };
    case 'boot':
      return { ...common, closure: order.closure, verb: 'boot', skipChecks: false };
    case 'undo-boot':
      return { ...common, closure: before.profile ?? before.system, verb: 'boot', skipChecks: true };
    default:
      return { ...common, closure: before.system, verb: undoesAtOnce(record) ? 'switch' : 'test', skipChecks: true };
  }
}

async function run(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal) {
  // The lock was taken: give its holder time.
  if (record.lockTries > 0) await ports.clock.sleep(Math.min(10_000, 250 * 2 ** record.lockTries), signal);
  return ports.machine.run(runOf(record), signal);
}

async function begin(record: AttemptRecord, { machine }: AttemptPorts, signal: AbortSignal): Promise<Outcome> {
  const complaint = await machine.complaint(record.order.closure);
  const [seen, failedUnits] = await Promise.all([machine.see(), machine.failedUnits(signal)]);
  if (seen.current !== undefined) await machine.keepWayBack(seen.current);
  return {
    step: 'begin',
    seen,
    failedUnits,
    program: machine.program,
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
    const pause = Math.min(backoffMs(tries, { baseMs: 500, maxMs: 5_000 }), end - clock.now().monotonicMs);
    if (pause > 0) await clock.sleep(pause, signal);
  }
  const message = `The hub could not be reached over a new connection within ${order.confirmTimeoutSeconds} s (${last}).`;
  return { kind: 'unreachable', message };
}

/** Does the step that the record is at. Rejects only when the signal aborts or the machine can't be used at all. */
export async function act(record: AttemptRecord, ports: AttemptPorts, signal: AbortSignal): Promise<Outcome> {
  const { machine } = ports;
  const { step, order } = record;
  switch (step) {
    case 'fetch':
      return { step, result: await machine.fetch(order, ports.note, signal) };
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
        exitCode: record.exitCode,
      };
      return { step, result: await machine.checkHealth(question, signal) };
    }
    case 'confirm':
      return { step, result: await confirm(record, ports, signal) };
    case 'profile':
      return { step, result: await machine.setProfile(order.closure, signal) };
    case 'undo-profile':
      return { step, result: await machine.restoreProfile(beforeOf(record).profile, order.closure, signal) };
    case 'boot':
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
