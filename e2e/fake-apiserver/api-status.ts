// The errors with which the fake API server answers.

/** Thrown by what handles a request; becomes the answer. */
export class ApiStatus extends Error {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterSeconds?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** The Status object of the answer. */
  body(): object {
    const { status: code, reason, message, retryAfterSeconds } = this;
    return {
      apiVersion: 'v1',
      kind: 'Status',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      code,
      ...(retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }),
    };
  }
}

export const notFound = (what: string): ApiStatus => new ApiStatus(404, 'NotFound', `${what} not found`);
export const conflict = (what: string): ApiStatus =>
  new ApiStatus(409, 'Conflict', `Operation cannot be fulfilled on ${what}: the object has been modified`);
export const alreadyExists = (what: string): ApiStatus => new ApiStatus(409, 'AlreadyExists', `${what} already exists`);
export const expired = (): ApiStatus => new ApiStatus(410, 'Expired', 'too old resource version');
export const badRequest = (message: string): ApiStatus => new ApiStatus(400, 'BadRequest', message);
