// Asks the API server who a token belongs to: a build Job may write to its own namespace only.
import type { Authorizer, Verdict } from './authorize.ts';

/** The part of a TokenReview's status that counts. */
export type ReviewStatus = {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly error?: string;
  readonly user?: { readonly username?: string };
};

/** The port to the API server: posts a TokenReview and returns its status. Throws when nobody answered. */
export type ReviewToken = (
  spec: { token: string; audiences: string[] },
  options: { signal: AbortSignal },
) => Promise<ReviewStatus>;

/** `system:serviceaccount:<namespace>:<name>` -> namespace. */
function namespaceOf(username: string | undefined): string | undefined {
  return /^system:serviceaccount:([^:]+):[^:]+$/.exec(username ?? '')?.[1];
}

function judge(status: ReviewStatus, namespace: string, audience: string): Verdict {
  if (status.authenticated !== true) {
    return {
      kind: 'refused',
      reason: `the token is not valid for the audience ${audience}${status.error ? `: ${status.error}` : ''}`,
    };
  }
  // An authenticator that knows no audiences leaves the list out; such a token would be good for anything.
  if (status.audiences?.includes(audience) !== true) {
    return { kind: 'refused', reason: `the token was not made for the audience ${audience}` };
  }
  const own = namespaceOf(status.user?.username);
  if (own === namespace) return { kind: 'allowed' };
  const who = own === undefined ? 'no service account' : `a service account of namespace ${own}`;
  return { kind: 'refused', reason: `the token belongs to ${who}, and may not write to namespace ${namespace}` };
}

/** Allows service accounts of the namespace whose token has the audience. */
export function tokenReview(review: ReviewToken, audience: string): Authorizer {
  return {
    async authorize(token, namespace, { signal }) {
      try {
        return judge(await review({ token, audiences: [audience] }, { signal }), namespace, audience);
      } catch (cause) {
        signal.throwIfAborted();
        const why = cause instanceof Error ? cause.message : String(cause);
        return { kind: 'unknown', reason: `the API server could not check the token: ${why}` };
      }
    },
  };
}
