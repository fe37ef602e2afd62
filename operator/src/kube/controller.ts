// Runs a reconcile function over the keys of a queue: workers, outcomes, back-off, metrics, an orderly end.
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { withDeadline } from './deadline.ts';
import { isConflict, isUnavailable, KubeError } from './error.ts';
import type { KubeMetrics } from './metrics.ts';
import { EventLoopShare, pause } from './pause.ts';
import type { WorkQueue } from './queue.ts';

/** What a reconcile that did not fail wants next. */
export type Outcome = { readonly kind: 'done' } | { readonly kind: 'again'; readonly afterSeconds: number };

/** An error that no further try can mend: it is counted and logged, and the key waits for its next change. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

export interface ReconcileContext {
  /** Ends with the process and at the time limit of the reconcile. */
  readonly signal: AbortSignal;
  /** Carries controller, key and reconcile id. */
  readonly log: Logger;
}

/** Brings one object into the state it should be in. Throws to be tried again after the back-off. */
export type Reconcile = (key: string, context: ReconcileContext) => Promise<Outcome>;

export interface ControllerOptions {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  /** Reconciles that run at once. Default 1. */
  readonly workers?: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly metrics?: KubeMetrics | undefined;
  /** Time limit of one reconcile, in seconds: its signal is aborted then. Default 120. */
  readonly timeoutSeconds?: number;
  /** How long reconciles in hand may take to end once `signal` is aborted, in seconds. Default 10. */
  readonly drainSeconds?: number;
}

/** Works until `signal` is aborted, then resolves as soon as nothing is in hand or `drainSeconds` have passed. */
export async function runController(options: ControllerOptions): Promise<void> {
  const { name, metrics, signal, log } = options;
  const workers = options.workers ?? 1;
  metrics?.maxWorkers.set({ controller: name }, workers);
  metrics?.activeWorkers.set({ controller: name }, 0);
  metrics?.reconcileErrors.inc({ controller: name }, 0);
  metrics?.terminalErrors.inc({ controller: name }, 0);
  for (const result of ['success', 'requeue_after', 'error'] as const) {
    metrics?.reconciles.inc({ controller: name, result }, 0);
  }
  const share = new EventLoopShare();
  const all = Promise.all(Array.from({ length: workers }, () => work(options, share))).then(() => true);
  await new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const drain = new AbortController();
  const limit = pause(options.drainSeconds ?? 10, drain.signal).then(() => false);
  if (!(await Promise.race([all, limit]))) {
    log.warn(
      { controller: name, drainSeconds: options.drainSeconds ?? 10 },
      'left reconciles behind that did not end in time',
    );
  }
  drain.abort();
}

async function work(options: ControllerOptions, share: EventLoopShare): Promise<void> {
  const { queue, signal, metrics, name } = options;
  for (let key = await queue.take(signal); key !== undefined; key = await queue.take(signal)) {
    metrics?.activeWorkers.inc({ controller: name });
    try {
      await handle(key, options);
    } finally {
      metrics?.activeWorkers.dec({ controller: name });
      queue.done(key);
    }
    await share.yieldWhenDue();
  }
}

async function handle(key: string, options: ControllerOptions): Promise<void> {
  const { name, queue, metrics } = options;
  const log = options.log.child({ controller: name, key, reconcile: randomBytes(4).toString('hex') });
  const start = performance.now();
  let result: 'success' | 'requeue_after' | 'error';
  try {
    const outcome = await withDeadline(options.signal, options.timeoutSeconds ?? 120, ({ signal }) =>
      options.reconcile(key, { signal, log }),
    );
    queue.forget(key);
    if (outcome.kind === 'again') {
      queue.addAfter(key, outcome.afterSeconds);
    }
    result = outcome.kind === 'again' ? 'requeue_after' : 'success';
  } catch (error) {
    if (options.signal.aborted) {
      // Whatever it was, it is the end of the process that ended it; the next one starts from the API.
      return;
    }
    result = 'error';
    metrics?.reconcileErrors.inc({ controller: name });
    retry(key, error, { ...options, log });
  }
  metrics?.reconciles.inc({ controller: name, result });
  metrics?.reconcileSeconds.observe({ controller: name }, (performance.now() - start) / 1000);
}

function retry(key: string, error: unknown, { queue, metrics, name, log }: ControllerOptions): void {
  if (error instanceof TerminalError) {
    metrics?.terminalErrors.inc({ controller: name });
    queue.forget(key);
    log.error({ err: error }, 'failed, and another try would fail the same way; waiting for a change');
    return;
  }
  const atLeastSeconds = error instanceof KubeError ? (error.retryAfterSeconds ?? 0) : 0;
  const retrySeconds = queue.addRateLimited(key, { atLeastSeconds });
  if (isConflict(error)) {
    log.debug({ retrySeconds }, 'lost a race against another writer, trying again');
  } else if (isUnavailable(error)) {
    log.warn(
      { reason: error.reason, retrySeconds, failures: queue.failures(key) },
      `the API server is not available, trying again: ${error.message}`,
    );
  } else {
    log.error({ err: error, retrySeconds, failures: queue.failures(key) }, 'failed, trying again');
  }
}
