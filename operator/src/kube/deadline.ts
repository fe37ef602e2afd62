// Bounds a piece of work by a time limit and by the signal of whoever asked for it.

/** A signal that ends with its parent or with its time limit; dispose of it when the work is over. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** True once the time limit, not the parent, ended it. */
  readonly expired: boolean;
  /** Starts the time limit anew. */
  refresh(): void;
}

/** Starts a deadline of `seconds` below `parent`. */
export function startDeadline(parent: AbortSignal, seconds: number): Deadline {
  const controller = new AbortController();
  let expired = false;
  // Not AbortSignal.any and .timeout: what those hang on a long-lived parent is freed by the garbage collector only.
  const onAbort = () => controller.abort(parent.reason);
  const timer = setTimeout(() => {
    expired = true;
    controller.abort(new DOMException(`no result within ${seconds} s`, 'TimeoutError'));
  }, seconds * 1000);
  if (parent.aborted) {
    onAbort();
  }
  parent.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    refresh() {
      timer.refresh();
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent.removeEventListener('abort', onAbort);
    },
  };
}
