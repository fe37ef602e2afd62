// What a test can make go wrong with single requests.

export type Fault =
  /** Answers with this status. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly reason?: string;
      readonly message?: string;
      /** Retry-After header, in seconds. */
      readonly retryAfterSeconds?: number;
    }
  /** Answers with this text, which is no Status; default with status 200. */
  | { readonly kind: 'text'; readonly text: string; readonly status?: number }
  /** Resets the TCP connection instead of handling the request. */
  | { readonly kind: 'reset' }
  /** Handles the request, then resets the connection instead of answering. */
  | { readonly kind: 'lose-answer' }
  /** Never answers. */
  | { readonly kind: 'silence' };

/** How a server answers for a kind that a CRD defines before it has read its CRDs: right after its start. */
export const NOT_SERVED: Fault = { kind: 'text', text: '404 page not found\n', status: 404 };

export interface RequestPattern {
  /** Also `LIST`, `WATCH` and `LOGS`, which are GET for HTTP. */
  readonly verb?: string;
  /** Part of the path, or a pattern for it. */
  readonly path?: string | RegExp;
}

interface Plan {
  readonly pattern: RequestPattern;
  readonly fault: Fault;
  left: number;
}

/** The faults that wait for their requests. */
export class Faults {
  readonly #plans: Plan[] = [];

  /** Lets the next `times` requests that match the pattern go wrong. */
  inject(pattern: RequestPattern, fault: Fault, times = 1): void {
    this.#plans.push({ pattern, fault, left: times });
  }

  /** Ends all faults. */
  clear(): void {
    this.#plans.length = 0;
  }

  /** The fault for a request, which is then used up once. */
  take(verb: string, path: string): Fault | undefined {
    const plan = this.#plans.find(({ pattern, left }) => left > 0 && matches(pattern, verb, path));
    if (plan === undefined) {
      return undefined;
    }
    plan.left -= 1;
    return plan.fault;
  }
}

/** Whether a request is one of those that the pattern means. */
export function matches(pattern: RequestPattern, verb: string, path: string): boolean {
  const { verb: wanted, path: part } = pattern;
  return (
    (wanted === undefined || wanted === verb) &&
    (part === undefined || (typeof part === 'string' ? path.includes(part) : part.test(path)))
  );
}
