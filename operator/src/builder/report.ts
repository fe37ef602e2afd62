// Tells the operator what was built, and does not rest before it is stored.
import { setTimeout as pause } from 'node:timers/promises';
import type { BuildResult } from '@floe/crds/build';
import { Agent } from 'undici';
import { BuildFailure } from './failure.ts';

/** One answer of the operator. */
export type ReportAnswer = { readonly status: number; readonly text: string; readonly retryAfterSeconds?: number };

/** The port: posts the result once. Rejects when nobody answered. */
export type PostReport = (result: BuildResult, options: { signal: AbortSignal }) => Promise<ReportAnswer>;

export type ReportOptions = {
  readonly signal: AbortSignal;
  /** How long the operator may be away, in seconds. */
  readonly limitSeconds: number;
  readonly now: () => number;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
  readonly onRetry: (message: string) => void;
};

const MAX_PAUSE_SECONDS = 30;
const MAX_BACKOFF_STEPS = 6;

/** Whether the same request may succeed later: another write came first, or the operator is busy or away. */
function isPassing(status: number): boolean {
  return status === 409 || status === 429 || status >= 500;
}

/**
 * Posts until the operator has stored the result.
 * @throws BuildFailure when it refuses, or does not answer within the limit
 */
export async function report(post: PostReport, result: BuildResult, options: ReportOptions): Promise<void> {
  const end = options.now() + options.limitSeconds * 1000;
  for (let attempt = 0; ; attempt++) {
    let why: string;
    let seconds = Math.min(MAX_PAUSE_SECONDS, 2 ** Math.min(attempt, MAX_BACKOFF_STEPS) / 2);
    try {
      const answer = await post(result, { signal: options.signal });
      if (answer.status === 200) return;
      if (!isPassing(answer.status)) {
        throw new BuildFailure(
          `the operator refused the result (${answer.status}): ${answer.text.trim().slice(0, 1000)}`,
          {
            remedy: 'see the log of the operator',
          },
        );
      }
      why = `it answers ${answer.status}: ${answer.text.trim().slice(0, 300)}`;
      if (answer.retryAfterSeconds !== undefined) seconds = Math.min(MAX_PAUSE_SECONDS, answer.retryAfterSeconds);
    } catch (cause) {
      options.signal.throwIfAborted();
      if (cause instanceof BuildFailure) throw cause;
      why = cause instanceof Error ? cause.message : String(cause);
    }
    if (options.now() + seconds * 1000 > end) {
      throw new BuildFailure(
        `the operator did not take the result within ${Math.round(options.limitSeconds / 60)} min: ${why}`,
        {
          remedy:
            'check that the operator runs and that pods of this namespace may connect to it; what was built is in the cache and is not built again',
        },
      );
    }
    options.onRetry(`the operator has not taken the result yet (${why}); next try in ${seconds} s`);
    await options.wait(seconds, options.signal);
  }
}

/** Pauses for real. */
export async function waitSeconds(seconds: number, signal: AbortSignal): Promise<void> {
  await pause(seconds * 1000, undefined, { signal });
}

/** `PostReport` over HTTPS. The token is read anew for each try, since Kubernetes renews it. */
export function postReport(url: string, options: { ca: string | undefined; token: () => Promise<string> }): PostReport {
  return async (result, { signal }) => {
    const target = new URL(url);
    const agent = new Agent({ connect: { timeout: 20_000, ...(options.ca === undefined ? {} : { ca: options.ca }) } });
    try {
      const answer = await agent.request({
        origin: target.origin,
        path: target.pathname + target.search,
        method: 'POST',
        headers: { authorization: `Bearer ${(await options.token()).trim()}`, 'content-type': 'application/json' },
        body: JSON.stringify(result),
        signal: AbortSignal.any([signal, AbortSignal.timeout(120_000)]),
      });
      const after = Number(answer.headers['retry-after']);
      const retry = Number.isFinite(after) && after >= 0 ? { retryAfterSeconds: after } : {};
      return { status: answer.statusCode, text: await answer.body.text(), ...retry };
    } finally {
      await agent.close();
    }
  };
}
