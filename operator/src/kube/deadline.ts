// Bounds a piece of work by a time limit and by the signal of whoever asked for it.

/** A signal that ends with its parent or with its time limit; dispose of it when the work is over. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** True once the time limit, not the parent, ended it. */
  readonly expired: boolean;
  /** Starts a time limit of `seconds` in place of the one that runs. */
  restart(seconds: number): void;
}

/** Starts a deadline of `seconds` below `parent`. */
export function startDeadline(parent: AbortSignal, seconds: number): Deadline {
  const controller = new AbortController();
  let expired = false;
  // Not AbortSignal.any and .timeout: what those hang on a long-lived parent is freed by the garbage collector only.
  const onAbort = () => controller.abort(parent.reason);
  const start = (limit: number) =>
    setTimeout(() => {
      expired = true;
      controller.abort(new DOMException(`nothing came within ${limit} s`, 'TimeoutError'));
    }, limit * 1000);
  let timer = start(seconds);
  if (parent.aborted) {
    onAbort();
  }
  parent.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    restart(limit) {
      clearTimeout(timer);
      timer = start(limit);
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent.removeEventListener('abort', onAbort);
    },
  };
}

/** Does a piece of work under a deadline of `seconds`, whose timer and listener end with it. */
export async function withDeadline<T>(
  parent: AbortSignal,
  seconds: number,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const deadline = startDeadline(parent, seconds);
  try {
    return await work(deadline);
  } finally {
    deadline[Symbol.dispose]();
  }
}
