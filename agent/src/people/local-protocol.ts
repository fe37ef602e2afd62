// What is said over the agent's local socket: one request and one answer, a line of JSON each.
import { durationSeconds } from '@floe/crds/duration';

export type LocalRequest =
  | { readonly verb: 'status' }
  | { readonly verb: 'approve' }
  | { readonly verb: 'defer'; readonly duration?: string }
  | { readonly verb: 'rollback' };

export type LocalAnswer = {
  readonly ok: boolean;
  /** A sentence for people. */
  readonly message: string;
  /** With `status`: the state as it is reported. */
  readonly state?: unknown;
};

/** Characters of a request at most. */
export const MAX_REQUEST = 1024;
/** Characters of an answer at most. */
export const MAX_ANSWER = 64 * 1024;

/** The longest deferral that makes sense; the limit of the admins is mostly shorter. */
const LONGEST_SECONDS = 366 * 24 * 3600;

/** Reads a request, or says what is wrong with it. Takes nothing but the four verbs. */
export function parseRequest(line: string): LocalRequest | { readonly fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { fault: 'it is no JSON; send {"verb": "status"}' };
  }
  const { verb, duration } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (verb === 'status' || verb === 'approve' || verb === 'rollback') return { verb };
  if (verb !== 'defer') return { fault: 'use one of status, approve, defer, rollback' };
  if (duration === undefined) return { verb };
  if (typeof duration !== 'string' || deferSeconds(duration) === undefined) {
    return { fault: 'the duration is none; write 30m, 2h or 1h30m' };
  }
  return { verb, duration };
}

/** Seconds of a deferral, from a second to a year; undefined where it is none. */
export function deferSeconds(text: string): number | undefined {
  const seconds = text.length > 32 ? undefined : durationSeconds(text);
  return seconds !== undefined && seconds >= 1 && seconds <= LONGEST_SECONDS ? seconds : undefined;
}
