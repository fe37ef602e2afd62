// Turns whatever goes wrong with a request into a KubeError that says what failed and why.
import type { Deadline } from './deadline.ts';
import { KubeError, type KubeStatus, NOT_SERVED } from './error.ts';

/** The error for an answer that is not a success. */
export function errorOfAnswer(answer: {
  readonly verb: string;
  readonly path: string;
  readonly status: number;
  readonly retryAfter: string | string[] | undefined;
  readonly body: string;
}): KubeError {
  const said = parseStatus(answer.body);
  const message = said?.message ?? (answer.body.slice(0, 300).trim() || 'no message');
  return new KubeError({
    status: answer.status,
    reason: said?.reason || (said === undefined && answer.status === 404 ? NOT_SERVED : reasonOf(answer.status)),
    message: `${answer.verb} ${answer.path}: ${answer.status}: ${message}`,
    retryAfterSeconds: parseRetryAfter(answer.retryAfter) ?? said?.details?.retryAfterSeconds,
  });
}

/** The error for whatever was thrown while a request was made or its answer read. */
export function errorOfFailure(
  cause: unknown,
  context: {
    readonly verb: string;
    readonly path: string;
    readonly deadline: Deadline;
    readonly parent: AbortSignal;
    /** Whether the server had begun to answer with a stream. */
    readonly streaming?: boolean;
  },
): KubeError {
  if (cause instanceof KubeError) {
    return cause;
  }
  const { verb, path, deadline, parent, streaming = false } = context;
  const fail = (reason: string, why: string) =>
    new KubeError({ status: 0, reason, message: `${verb} ${path}: ${why}`, cause });
  if (parent.aborted) {
    return fail('Aborted', 'given up by the caller');
  }
  if (deadline.expired) {
    return fail(streaming ? 'Idle' : 'Timeout', String(deadline.signal.reason?.message ?? 'no answer in time'));
  }
  if (cause instanceof SyntaxError) {
    return fail('BadAnswer', 'the answer is no JSON object; is this the address of an API server?');
  }
  return fail('Unreachable', describe(cause));
}

function describe(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) {
    return describe(cause.errors[0]);
  }
  return cause instanceof Error ? cause.message : String(cause);
}

function parseStatus(body: string): KubeStatus | undefined {
  try {
    const status: unknown = JSON.parse(body);
    return typeof status === 'object' && status !== null && 'kind' in status && status.kind === 'Status'
      ? (status as KubeStatus)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds until a Retry-After header's moment, which it gives in seconds or as a date. */
function parseRetryAfter(header: string | string[] | undefined): number | undefined {
  const value = Array.isArray(header) ? header[0] : header;
  if (value === undefined) {
    return undefined;
  }
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

function reasonOf(status: number): string {
  const reasons: Readonly<Record<number, string>> = {
    400: 'BadRequest',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    409: 'Conflict',
    410: 'Gone',
    415: 'UnsupportedMediaType',
    422: 'Invalid',
    429: 'TooManyRequests',
    503: 'ServiceUnavailable',
    504: 'Timeout',
  };
  return reasons[status] ?? (status >= 500 ? 'InternalError' : 'Unknown');
}
