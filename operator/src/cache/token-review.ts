// Asks the API server who a token belongs to: a build Job may write to its own namespace only.
import type { ReviewStatus, TokenReviewer } from '../kube/token-review.ts';
import type { Authorizer, Verdict } from './authorize.ts';

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

/** Allows service accounts of the namespace whose token has the audience of `tokens`. */
export function tokenReview(tokens: TokenReviewer): Authorizer {
  return {
    async authorize(token, namespace, { signal, address }) {
      try {
        const answer = await tokens.review(token, { address });
        if (answer.kind === 'busy') return { kind: 'unknown', reason: 'too many tokens are asked about at the moment' };
        return judge(answer.status, namespace, tokens.audience);
      } catch (cause) {
        signal.throwIfAborted();
        const why = cause instanceof Error ? cause.message : String(cause);
        return { kind: 'unknown', reason: `the API server could not check the token: ${why}` };
      }
    },
  };
}
