// Confirms an attempt: a connection of its own, so that everything a later session needs is proved to work.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Confirmation } from '../attempt/outcome.ts';
import { type Caller, connect } from './connect.ts';

/** A hub that does not answer the question within this time is asked again. */
const ANSWER_MS = 15_000;

/** Asks once. An aborted signal is `unreachable`: whoever set the limit knows why. */
export async function confirmOnce(
  caller: Caller,
  attempt: string,
  closure: string,
  signal: AbortSignal,
): Promise<Confirmation> {
  try {
    const connected = await connect(caller, 'confirm', signal);
    if (connected.kind !== 'open') return await refused(connected, signal);
    const { socket } = connected;
    try {
      socket.send({ type: 'confirm', attempt, closure });
      const answer = await socket.receive(AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
      if (answer?.type === 'confirmed' && answer.attempt === attempt) return { kind: 'confirmed' };
      if (answer?.type === 'denied' && answer.attempt === attempt) {
        return { kind: 'denied', message: `The hub no longer wants it (${answer.reason}): ${answer.message}.` };
      }
      return {
        kind: 'unreachable',
        message: answer === undefined ? (await socket.ended).reason : `the hub answered "${answer.type}"`,
      };
    } finally {
      socket.close(1000, 'done');
    }
  } catch (error: unknown) {
    const late = error instanceof Error && error.name === 'TimeoutError';
    const why = error instanceof Error ? error.message : String(error);
    return { kind: 'unreachable', message: late ? 'the hub gave no answer' : why };
  }
}

async function refused(
  connected: { readonly message: string; readonly retryAfterSeconds?: number },
  signal: AbortSignal,
): Promise<Confirmation> {
  if (connected.retryAfterSeconds !== undefined) await sleep(connected.retryAfterSeconds * 1000, undefined, { signal });
  return { kind: 'unreachable', message: connected.message };
}
