// Tells the operator what was built, and does not rest before it is stored.
import { setTimeout as pause } from 'node:timers/promises';
import type { BuildError, BuildResult } from '@floe/crds/build';
import { parseJson } from '@floe/crds/json';
import { parseBuildError } from '@floe/crds/parse';
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

/** Whether the same request may succeed later. A conflict is for good: the Job was overtaken, or reported otherwise before. */
function isPassing(status: number): boolean {
  return status === 429 || status >= 500;
}

/** The operator's own words: its answers are `{error, field?, remedy?}`; what stands between may say anything. */
function refusal(answer: ReportAnswer): BuildFailure {
  const parsed = parseBuildError(parseJson(answer.text));
  const { error, field, remedy }: BuildError = parsed.ok ? parsed.value : { error: answer.text.trim().slice(0, 1000) };
  return new BuildFailure(`the operator refused the result (${answer.status}): ${error}`, {
    field,
    remedy: remedy ?? 'see the log of the operator',
  });
}

/** Why the operator has not taken the result yet, and when it asks to be asked again. */
type Delay = { readonly why: string; readonly seconds?: number };

/** One try. Undefined: it is stored. @throws BuildFailure when the operator refuses for good */
async function tryOnce(post: PostReport, result: BuildResult, signal: AbortSignal): Promise<Delay | undefined> {
  let answer: ReportAnswer;
  try {
    answer = await post(result, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    return { why: cause instanceof Error ? cause.message : String(cause) };
  }
  if (answer.status === 200) return undefined;
  if (!isPassing(answer.status)) throw refusal(answer);
  const said = `${answer.status}: ${answer.text.trim().slice(0, 300)}`;
  const seconds = answer.retryAfterSeconds;
  return { why: `it answers ${said}`, ...(seconds === undefined ? {} : { seconds }) };
}

/**
 * Posts until the operator has stored the result.
 * @throws BuildFailure when it refuses, or does not answer within the limit
 */
export async function report(post: PostReport, result: BuildResult, options: ReportOptions): Promise<void> {
  const end = options.now() + options.limitSeconds * 1000;
  for (let attempt = 0; ; attempt++) {
    const delay = await tryOnce(post, result, options.signal);
    if (delay === undefined) return;
    const seconds = Math.min(MAX_PAUSE_SECONDS, delay.seconds ?? 2 ** Math.min(attempt, MAX_BACKOFF_STEPS) / 2);
    if (options.now() + seconds * 1000 > end) {
      const minutes = Math.round(options.limitSeconds / 60);
      throw new BuildFailure(`the operator did not take the result within ${minutes} min: ${delay.why}`, {
        remedy:
          'check that the operator runs and that pods of this namespace may connect to it; what was built is in the cache and is not built again',
      });
    }
    options.onRetry(`the operator has not taken the result yet (${delay.why}); next try in ${seconds} s`);
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
