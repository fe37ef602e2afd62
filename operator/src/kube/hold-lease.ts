// Keeps a Lease of one's own renewed, as a sign of life that others can watch.
import type { Logger } from 'pino';
import type { Lease } from './builtin.ts';
import type { KubeClient } from './client.ts';
import { withDeadline } from './deadline.ts';
import { microTime } from './micro-time.ts';
import { pause } from './pause.ts';
import { leases } from './resource.ts';

export interface HoldLeaseOptions {
  readonly client: Pick<KubeClient, 'apply' | 'delete'>;
  readonly namespace: string;
  /** Name of the Lease, unlike that of any other process. */
  readonly name: string;
  readonly identity: string;
  readonly labels?: Record<string, string>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** For how long a renewal is a sign of life, in seconds; renewed after a third of it. Default 30. */
  readonly leaseSeconds?: number;
}

/** Renews the Lease until `signal` is aborted, then deletes it. Resolves at the end; never rejects. */
export async function holdLease(options: HoldLeaseOptions): Promise<void> {
  const { client, namespace, name, identity, labels, log, signal } = options;
  const leaseSeconds = options.leaseSeconds ?? 30;
  let known = false;
  while (!signal.aborted) {
    const lease: Lease = {
      apiVersion: leases.apiVersion,
      kind: leases.kind,
      metadata: { name, namespace, ...(labels && { labels }) },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.max(1, Math.ceil(leaseSeconds)),
        renewTime: microTime(new Date()),
      },
    };
    try {
      await withDeadline(signal, leaseSeconds / 3, (deadline) =>
        client.apply(leases, lease, { fieldManager: 'floe', signal: deadline.signal }),
      );
      known = true;
      await pause(leaseSeconds / 3, signal);
    } catch (error) {
      if (!signal.aborted) {
        log.warn({ lease: name, err: error }, 'the sign of life could not be renewed, trying again');
        await pause(leaseSeconds / 15, signal);
      }
    }
  }
  if (!known) {
    return;
  }
  try {
    await withDeadline(new AbortController().signal, 5, (deadline) =>
      client.delete(leases, { namespace, name }, { signal: deadline.signal }),
    );
  } catch (error) {
    log.warn({ lease: name, err: error }, 'the sign of life could not be withdrawn; it runs out by itself');
  }
}
