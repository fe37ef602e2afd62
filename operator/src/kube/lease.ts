// Leader election over a Lease: at most one process leads, and it stops before another one can start.
import type { Logger } from 'pino';
import type { Lease } from './builtin.ts';
import type { KubeClient } from './client.ts';
import { withDeadline } from './deadline.ts';
import { isAlreadyExists, isConflict, isNotFound } from './error.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';
import { pause } from './pause.ts';
import { leases } from './resource.ts';

export interface LeaderElectionOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Name of this process, unlike that of any other: the pod's name for instance. */
  readonly identity: string;
  readonly log: Logger;
  /** Called once when leadership is lost; must stop the process. */
  readonly onLost: (reason: string) => void;
  readonly metrics?: KubeMetrics | undefined;
  /** After how many seconds without renewal others may take over. Default 15. */
  readonly leaseSeconds?: number;
  /** Within how many seconds a renewal must succeed, else leadership is lost; less than leaseSeconds. Default 10. */
  readonly renewDeadlineSeconds?: number;
  /** Seconds between tries. Default 2. */
  readonly retrySeconds?: number;
}

/** What is known of the Lease, and since when on this process' clock: timestamps of others are never compared. */
interface Observed {
  readonly lease: Lease;
  readonly at: number;
}

/** Takes part in one election. */
export class LeaderElection {
  /** Fulfilled when this process has become the leader. */
  readonly leading: Promise<void>;
  readonly #options: LeaderElectionOptions;
  readonly #resolveLeading: () => void;
  readonly #leaseSeconds: number;
  readonly #renewDeadlineSeconds: number;
  readonly #retrySeconds: number;
  #observed: Observed | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#leaseSeconds = options.leaseSeconds ?? 15;
    this.#renewDeadlineSeconds = options.renewDeadlineSeconds ?? 10;
    this.#retrySeconds = options.retrySeconds ?? 2;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.leading = promise;
    this.#resolveLeading = resolve;
  }

  /**
   * Waits for its turn and leads until `signal` is aborted; then gives the Lease back, so that another process may lead at
   * once: abort it only when the work that needs the leadership has ended. Resolves at the end, also after `onLost`.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { log, metrics, name, identity } = this.#options;
    metrics?.leader.set({ name }, 0);
    while (!(await this.#try(signal, this.#requestSeconds()))) {
      await pause(this.#retrySeconds * (0.8 + 0.4 * Math.random()), signal);
      if (signal.aborted) {
        return;
      }
    }
    log.info({ lease: name, identity }, 'became the leader');
    metrics?.leader.set({ name }, 1);
    this.#resolveLeading();
    const lost = await this.#renew(signal);
    metrics?.leader.set({ name }, 0);
    if (lost === undefined) {
      await this.#release();
    } else {
      log.error({ lease: name, identity }, `lost the leadership: ${lost}`);
      this.#options.onLost(lost);
    }
  }

  /** Renews until `signal` is aborted (undefined) or the leadership is lost (the reason). */
  async #renew(signal: AbortSignal): Promise<string | undefined> {
    let renewed = performance.now();
    const left = () => this.#renewDeadlineSeconds - (performance.now() - renewed) / 1000;
    while (!signal.aborted) {
      await pause(Math.min(this.#retrySeconds, Math.max(0, left())), signal);
      const start = performance.now();
      if (left() <= 0) {
        return `the Lease could not be renewed within ${this.#renewDeadlineSeconds} s`;
      }
      if (signal.aborted) {
        return undefined;
      }
      if (await this.#try(signal, Math.min(left(), this.#requestSeconds()))) {
        renewed = start;
      } else if (this.#holder() !== this.#options.identity) {
        return `${this.#holder() || 'nobody'} holds the Lease now`;
      }
    }
    return undefined;
  }

  /** Tries to take or to renew the Lease; a failed request counts as no. */
  async #try(parent: AbortSignal, seconds: number): Promise<boolean> {
    try {
      return await withDeadline(parent, seconds, ({ signal }) => this.#takeOrRenew(signal));
    } catch (error) {
      if (!parent.aborted) {
        this.#options.log.warn({ lease: this.#options.name }, `the Lease could not be read or written: ${error}`);
      }
      return false;
    }
  }

  async #takeOrRenew(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity } = this.#options;
    if (this.#holder() !== identity) {
      const lease = await unlessNotFound(client.get(leases, { namespace, name }, { signal }));
      if (lease === undefined) {
        return this.#create(signal);
      }
      this.#observe(lease);
    }
    const lease = this.#observed?.lease;
    if (lease === undefined || !this.#mayTake(lease)) {
      return false;
    }
    try {
      const patch = { metadata: pickVersion(lease), spec: this.#spec(lease) };
      this.#observe(await client.mergePatch(leases, { namespace, name }, patch, { signal }));
      return true;
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) {
        throw error;
      }
      // Somebody wrote it, perhaps this process with a request whose answer got lost: look who holds it.
      const now = await unlessNotFound(client.get(leases, { namespace, name }, { signal }));
      if (now === undefined) {
        return this.#create(signal);
      }
      this.#observe(now);
      return false;
    }
  }

  async #create(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    const lease: Lease = {
      apiVersion: leases.apiVersion,
      kind: leases.kind,
      metadata: { name, namespace },
      spec: this.#spec(undefined),
    };
    try {
      this.#observe(await client.create(leases, lease, { signal }));
      return true;
    } catch (error) {
      if (isAlreadyExists(error)) {
        this.#observed = undefined;
        return false;
      }
      throw error;
    }
  }

  #mayTake(lease: Lease): boolean {
    const { holderIdentity, leaseDurationSeconds } = lease.spec ?? {};
    if (!holderIdentity || holderIdentity === this.#options.identity) {
      return true;
    }
    const age = performance.now() - (this.#observed?.at ?? Number.POSITIVE_INFINITY);
    return age > (leaseDurationSeconds ?? this.#leaseSeconds) * 1000;
  }

  #spec(before: Lease | undefined): NonNullable<Lease['spec']> {
    const { identity } = this.#options;
    const now = microTime(new Date());
    const kept = before?.spec?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(this.#leaseSeconds)),
      renewTime: now,
      acquireTime: kept ? (before?.spec?.acquireTime ?? now) : now,
      leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (kept || before === undefined ? 0 : 1),
    };
  }

  #observe(lease: Lease): void {
    if (this.#observed?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) {
      this.#observed = { lease, at: performance.now() };
    }
  }

  #holder(): string | undefined {
    return this.#observed?.lease.spec?.holderIdentity;
  }

  #requestSeconds(): number {
    return Math.max(this.#renewDeadlineSeconds / 2, 0.05);
  }

  async #release(): Promise<void> {
    const { client, namespace, name, log } = this.#options;
    const lease = this.#observed?.lease;
    if (lease === undefined) {
      return;
    }
    const patch = {
      metadata: pickVersion(lease),
      spec: { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date()) },
    };
    try {
      await withDeadline(new AbortController().signal, 5, ({ signal }) =>
        client.mergePatch(leases, { namespace, name }, patch, { signal }),
      );
      log.info({ lease: name }, 'gave the leadership back');
    } catch (error) {
      log.warn({ lease: name, err: error }, 'could not give the Lease back; the next leader waits until it runs out');
    }
  }
}

function pickVersion(lease: Lease): { resourceVersion?: string } {
  const { resourceVersion } = lease.metadata;
  return resourceVersion === undefined ? {} : { resourceVersion };
}

async function unlessNotFound<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  }
}
