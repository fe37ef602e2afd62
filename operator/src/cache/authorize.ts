// Who may upload to a namespace: the port, and what a client sent to prove itself.
import { Buffer } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';

/** The answer to "may the holder of this token write to this namespace?". `reason` is a sentence for people. */
export type Verdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nobody could be asked; the client may come back. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** `address` is where the client comes from: who shows many wrong tokens is asked about less often. */
export type AuthorizeOptions = { readonly signal: AbortSignal; readonly address: string };

/** The port through which the cache asks. It never throws for a token that is merely wrong. */
export interface Authorizer {
  authorize(token: string, namespace: string, options: AuthorizeOptions): Promise<Verdict>;
}

/** The token of an `Authorization` header: the password of Basic (any user), or a Bearer token. */
export function tokenOf(header: string | undefined): string | undefined {
  const [scheme = '', value = ''] = (header ?? '').trim().split(/\s+/, 2);
  if (/^bearer$/i.test(scheme)) return value === '' ? undefined : value;
  if (!/^basic$/i.test(scheme)) return undefined;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const password = text.slice(text.indexOf(':') + 1);
  return text.includes(':') && password !== '' ? password : undefined;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** One token that may write everywhere. `read` gives its present text, so that a rotated file counts at once. */
export function staticToken(read: () => Promise<string>): Authorizer {
  return {
    async authorize(token) {
      let expected: string;
      try {
        expected = (await read()).trim();
      } catch (cause) {
        return { kind: 'unknown', reason: `the cache can't read its --upload-token-file: ${String(cause)}` };
      }
      if (expected !== '' && timingSafeEqual(digest(token), digest(expected))) return { kind: 'allowed' };
      return { kind: 'refused', reason: 'the token is not the one in --upload-token-file' };
    },
  };
}

/** Allowed when one of them allows; refused only when all of them refuse. */
export function anyOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    async authorize(token, namespace, options) {
      let verdict: Verdict = {
        kind: 'refused',
        reason: 'this cache takes no uploads: it has neither a token file nor a cluster to ask',
      };
      for (const authorizer of authorizers) {
        const next = await authorizer.authorize(token, namespace, options);
        if (next.kind === 'allowed') return next;
        if (verdict.kind !== 'unknown') verdict = next;
      }
      return verdict;
    },
  };
}

/**
 * Remembers verdicts for a while, since one closure is a thousand uploads. Tokens are kept as digests only.
 * `unknown` is never remembered, and a refusal only briefly.
 */
export function remembering(
  inner: Authorizer,
  options: { now: () => number; seconds: number; size: number },
): Authorizer {
  const verdicts = new Map<string, { verdict: Verdict; until: number }>();
  return {
    async authorize(token, namespace, asked) {
      const key = `${namespace}/${digest(token).toString('base64')}`;
      const known = verdicts.get(key);
      if (known !== undefined && options.now() < known.until) return known.verdict;
      verdicts.delete(key);
      const verdict = await inner.authorize(token, namespace, asked);
      if (verdict.kind === 'unknown') return verdict;
      const oldest = verdicts.keys().next();
      if (verdicts.size >= options.size && !oldest.done) verdicts.delete(oldest.value);
      const seconds = verdict.kind === 'allowed' ? options.seconds : Math.min(options.seconds, 5);
      verdicts.set(key, { verdict, until: options.now() + seconds * 1000 });
      return verdict;
    },
  };
}
