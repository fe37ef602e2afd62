// Which replicas of the hub live, judged by their Leases as this process sees them change: clocks need not agree.
import type { Lease } from '../kube/builtin.ts';

/** Prefix of the Leases of hub replicas; the rest is the replica's name. */
const LEASE_PREFIX = 'floe-hub-';
/** Seconds that machines have to reconnect elsewhere once the Lease of their replica is over. */
const RECONNECT_SECONDS = 90;
const DEFAULT_LEASE_SECONDS = 30;

type Seen = {
  /** `renewTime` that was seen last; undefined where there is no Lease. */
  readonly renewTime: string | undefined;
  /** When it was seen first, monotonic, in seconds. */
  readonly at: number;
  /** For how long it is good, in seconds. */
  readonly goodFor: number;
};

/** Remembers when each replica showed a sign of life. `at` is monotonic, in seconds, everywhere. */
export class ReplicaLiveness {
  readonly #seen = new Map<string, Seen>();

  /** A Lease was read or changed; others than those of hubs are ignored. */
  saw(lease: Lease, at: number): void {
    const replica = replicaOf(lease);
    if (replica === undefined) return;
    const renewTime = lease.spec?.renewTime ?? '';
    if (this.#seen.get(replica)?.renewTime === renewTime) return;
    this.#seen.set(replica, { renewTime, at, goodFor: lease.spec?.leaseDurationSeconds ?? DEFAULT_LEASE_SECONDS });
  }

  /** A Lease was deleted: its replica ended in order, or someone cleaned up. */
  lost(lease: Lease, at: number): void {
    const replica = replicaOf(lease);
    if (replica !== undefined) this.#seen.set(replica, { renewTime: undefined, at, goodFor: 0 });
  }

  /**
   * Seconds until the machines of a replica count as offline: 0 when they do, undefined while its Lease is good. A
   * replica that was never heard of gets its time from the first question on.
   */
  goneIn(replica: string, at: number): number | undefined {
    const seen = this.#seen.get(replica) ?? { renewTime: undefined, at, goodFor: 0 };
    this.#seen.set(replica, seen);
    const over = at - seen.at - seen.goodFor;
    return over < 0 ? undefined : Math.max(0, RECONNECT_SECONDS - over);
  }

  /** Replicas whose Lease lies there unrenewed for `seconds` beyond its end: they died without withdrawing it. */
  leftBehind(at: number, seconds: number): string[] {
    return [...this.#seen]
      .filter(([, { renewTime, at: since, goodFor }]) => renewTime !== undefined && at - since - goodFor > seconds)
      .map(([replica]) => replica);
  }

  /** Forgets replicas that have no Lease any more and that nobody asks for. */
  keep(asked: ReadonlySet<string>): void {
    for (const [replica, { renewTime }] of this.#seen) {
      if (renewTime === undefined && !asked.has(replica)) this.#seen.delete(replica);
    }
  }
}

/** The replica that a Lease stands for; undefined where it is another Lease. */
export function replicaOf(lease: Lease): string | undefined {
  const { name } = lease.metadata;
  return name.startsWith(LEASE_PREFIX) ? name.slice(LEASE_PREFIX.length) : undefined;
}
