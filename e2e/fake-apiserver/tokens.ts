// TokenReview: which tokens stand for whom.

export interface TokenUser {
  readonly username: string;
  readonly audiences: readonly string[];
  readonly groups?: readonly string[];
  /** As Kubernetes does it for projected tokens: `authentication.kubernetes.io/pod-name` and `…/pod-uid`. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export class Tokens {
  readonly #users = new Map<string, TokenUser>();

  accept(token: string, user: TokenUser): void {
    this.#users.set(token, user);
  }

  /** The status of a TokenReview. */
  review(spec: { readonly token?: string; readonly audiences?: readonly string[] }): object {
    const user = this.#users.get(spec.token ?? '');
    const audiences = user?.audiences.filter((audience) => spec.audiences?.includes(audience) ?? true) ?? [];
    if (user === undefined || audiences.length === 0) {
      return { authenticated: false, error: 'invalid bearer token', user: {} };
    }
    const { username, groups, extra } = user;
    return { authenticated: true, audiences, user: { username, uid: username, groups, extra } };
  }
}
