// How a failed request to the API server looks to its caller.

/** The Status object with which the API server answers errors. */
export interface KubeStatus {
  readonly kind?: string;
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** Reason of a 404 without a Status. */
export const NOT_SERVED = 'NotServed';

/**
 * A request that the API server refused, or that never got an answer.
 * `status` is the HTTP status, or 0 without an answer; then `reason` is `Unreachable`, `Timeout`, `Aborted`, `BadAnswer`, or
 * `Idle`: a stream had begun, and nothing came through it for too long.
 * A 404 with `reason` `NotServed` is about the kind: a server that has just started says so of kinds that CRDs define,
 * until it has read them (503 since Kubernetes 1.23), and says nothing with it about the object.
 */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  /** Machine-readable reason, as in Kubernetes' Status: `NotFound`, `Conflict`, `Expired`, … */
  readonly reason: string;
  /** How long the server asks to wait before the next try, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(init: {
    status: number;
    reason: string;
    message: string;
    retryAfterSeconds?: number | undefined;
    cause?: unknown;
  }) {
    super(init.message, { cause: init.cause });
    this.status = init.status;
    this.reason = init.reason;
    this.retryAfterSeconds = init.retryAfterSeconds;
  }
}

/** The object does not exist. */
export function isNotFound(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 404 && !isNotServed(error);
}

/** The server does not serve the kind: it has just started, or nobody has installed the CRD. */
export function isNotServed(error: unknown): boolean {
  return error instanceof KubeError && error.reason === NOT_SERVED;
}

/** Somebody else changed the object since it was read. */
export function isConflict(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 409 && error.reason === 'Conflict';
}

/** An object of that name exists already. */
export function isAlreadyExists(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 409 && error.reason === 'AlreadyExists';
}

/** The API server is away, starts up or has too much to do: the same request may go well a little later. */
export function isUnavailable(error: unknown): error is KubeError {
  if (!(error instanceof KubeError)) return false;
  return (
    isNotServed(error) ||
    error.status === 429 ||
    error.status >= 500 ||
    (error.status === 0 && error.reason !== 'BadAnswer')
  );
}

/** A stream that had begun was silent for too long, which is no failure of the server. */
export function isIdle(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 0 && error.reason === 'Idle';
}

/** The resource version or the continue token is too old: list anew. */
export function isGone(error: unknown): error is KubeError {
  return error instanceof KubeError && (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}
