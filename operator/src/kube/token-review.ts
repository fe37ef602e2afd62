// Asks the API server who a token belongs to, and bounds what holders of made-up tokens make it do.
import { createHash } from 'node:crypto';
import type { KubeClient } from './client.ts';
import { withDeadline } from './deadline.ts';
import { RateLimit } from './rate-limit.ts';
import { tokenReviews } from './resource.ts';

/** The part of a TokenReview's status that counts. */
export type ReviewStatus = {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly error?: string;
  readonly user?: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
};

/** The port to the API server: posts a TokenReview and returns its status. Throws when nobody answered. */
export type ReviewToken = (
  spec: { token: string; audiences: string[] },
  options: { signal: AbortSignal },
) => Promise<ReviewStatus>;

/** What is known of a token. `busy`: too many are asked about, here or from this address; come back later. */
export type TokenAnswer =
  | { readonly kind: 'reviewed'; readonly status: ReviewStatus; readonly isValid: boolean }
  | { readonly kind: 'busy'; readonly retryAfterSeconds: number };

/** Looks at tokens of one audience. Throws when the API server does not answer. */
export interface TokenReviewer {
  readonly audience: string;
  review(token: string, from: { readonly address: string }): Promise<TokenAnswer>;
}

/** Reviews under way at once, in all and for one address. */
const AT_ONCE = 8;
const AT_ONCE_PER_ADDRESS = 2;
/** Refused tokens that one address may show at once, and each second in the long run. */
const REFUSED = { burst: 10, perSecond: 0.5 };
/** Seconds for which a refused token is not asked about again, and how many are remembered. */
const REMEMBER_SECONDS = 10;
const REMEMBERED = 10_000;
/** Seconds for one review. */
const SECONDS = 10;
/** Characters of a token at most: those of Kubernetes have about a thousand. */
const TOKEN_LENGTH = 16_384;

/** The port over a client. */
export function reviewToken(client: Pick<KubeClient, 'create'>): ReviewToken {
  const { apiVersion, kind } = tokenReviews;
  return async (spec, options) => {
    const review = await client.create(tokenReviews, { apiVersion, kind, metadata: { name: '' }, spec }, options);
    return review.status ?? {};
  };
}

/** One review per token at a time, few in all, and few refused ones per address. Tokens are kept as digests only. */
export class BoundedTokenReviewer implements TokenReviewer {
  readonly audience: string;
  readonly #review: ReviewToken;
  readonly #signal: AbortSignal;
  readonly #running = new Map<string, Promise<TokenAnswer>>();
  readonly #runningFrom = new Map<string, number>();
  readonly #refused = new Map<string, { readonly answer: TokenAnswer; readonly until: number }>();
  readonly #refusals = new RateLimit(REFUSED);

  /** `signal` ends all reviews. */
  constructor({ review, audience, signal }: { review: ReviewToken; audience: string; signal: AbortSignal }) {
    this.#review = review;
    this.audience = audience;
    this.#signal = signal;
  }

  async review(token: string, { address }: { readonly address: string }): Promise<TokenAnswer> {
    if (token.length > TOKEN_LENGTH) return invalid('it is longer than any token of Kubernetes');
    const key = createHash('sha256').update(token).digest('base64');
    const now = performance.now() / 1000;
    const known = this.#refused.get(key);
    if (known !== undefined && now < known.until) return known.answer;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const own = this.#runningFrom.get(address) ?? 0;
    if (this.#running.size >= AT_ONCE || own >= AT_ONCE_PER_ADDRESS) return { kind: 'busy', retryAfterSeconds: 1 };
    if (!this.#refusals.has(address, now)) return { kind: 'busy', retryAfterSeconds: 5 };
    this.#runningFrom.set(address, own + 1);
    const asking = this.#ask(token, key, address).finally(() => {
      this.#running.delete(key);
      const left = (this.#runningFrom.get(address) ?? 1) - 1;
      if (left > 0) this.#runningFrom.set(address, left);
      else this.#runningFrom.delete(address);
    });
    this.#running.set(key, asking);
    return asking;
  }

  async #ask(token: string, key: string, address: string): Promise<TokenAnswer> {
    const { audience } = this;
    const status = await withDeadline(this.#signal, SECONDS, ({ signal }) =>
      this.#review({ token, audiences: [audience] }, { signal }),
    );
    // An authenticator that knows no audiences leaves the list out; such a token would be good for anything.
    const isValid = status.authenticated === true && status.audiences?.includes(audience) === true;
    const answer: TokenAnswer = { kind: 'reviewed', status, isValid };
    if (!isValid) this.#remember(key, answer, address);
    return answer;
  }

  #remember(key: string, answer: TokenAnswer, address: string): void {
    const now = performance.now() / 1000;
    this.#refusals.take(address, now);
    this.#refused.delete(key);
    this.#refused.set(key, { answer, until: now + REMEMBER_SECONDS });
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= REMEMBERED) break;
      this.#refused.delete(oldest);
    }
  }
}

function invalid(error: string): TokenAnswer {
  return { kind: 'reviewed', status: { authenticated: false, error }, isValid: false };
}
