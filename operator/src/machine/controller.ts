// Composes the machine controller: its queue, what wakes it, and the watch over the replicas of the hub.
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Lease } from '../kube/builtin.ts';
import type { KubeClient } from '../kube/client.ts';
import { runController } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import { keyOf } from '../kube/object.ts';
import { WorkQueue } from '../kube/queue.ts';
import { leases } from '../kube/resource.ts';
import { ClosureReader } from './closure-reader.ts';
import type { MachineStores } from './machine-stores.ts';
import { machineReconciler } from './reconcile.ts';
import { ReplicaLiveness, replicaOf } from './replica-liveness.ts';
import { wakeMachines } from './wake.ts';

export type MachineControllerOptions = {
  readonly client: Pick<KubeClient, 'mergePatch' | 'delete'>;
  /** Must have synced. */
  readonly stores: MachineStores;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Takes no metrics of its own yet; the queue and the controller have theirs in `metrics`. */
  readonly registry?: Registry;
  readonly metrics?: KubeMetrics | undefined;
  readonly now?: () => Date;
  /** Monotonic, in seconds. */
  readonly uptime?: () => number;
  /** Seconds between two looks for machines of replicas that are gone. Default 15. */
  readonly lookSeconds?: number;
};

const NAME = 'nixmachine';
const WORKERS = 8;
/** Seconds after which the Lease of a replica that died is deleted; its machines are marked long before. */
const LEFT_SECONDS = 3600;

/** Reconciles NixMachines until `signal` is aborted; to be called on the leader only. */
export async function startMachineController(options: MachineControllerOptions): Promise<void> {
  const { client, stores, events, log, signal, metrics } = options;
  const now = options.now ?? (() => new Date());
  const uptime = options.uptime ?? (() => performance.now() / 1000);
  const queue = new WorkQueue({ name: NAME, ...(metrics === undefined ? {} : { metrics: metrics.queues }) });
  const liveness = new ReplicaLiveness();
  const closures = new ClosureReader();
  for (const lease of stores.leases.list()) liveness.saw(lease, uptime());
  const stopLeases = stores.leases.subscribe(({ type, object }: { type: string; object: Lease }) => {
    if (type === 'deleted') liveness.lost(object, uptime());
    else liveness.saw(object, uptime());
  });
  const sleep = wakeMachines(stores, queue, closures);
  const look = setInterval(
    () => {
      wakeOrphans(stores, { queue, liveness, at: uptime() });
      void removeLeftLeases(liveness.leftBehind(uptime(), LEFT_SECONDS), options);
    },
    (options.lookSeconds ?? 15) * 1000,
  );
  try {
    const reconcile = machineReconciler({ client, stores, events, liveness, closures, uptime, now });
    await runController({ name: NAME, queue, reconcile, workers: WORKERS, signal, log, metrics });
  } finally {
    clearInterval(look);
    sleep();
    stopLeases();
  }
}

/** Enqueues the machines that are connected to replicas that are gone. One pass over memory, no request. */
function wakeOrphans(
  stores: MachineStores,
  { queue, liveness, at }: { queue: WorkQueue; liveness: ReplicaLiveness; at: number },
): void {
  const asked = new Set<string>();
  for (const machine of stores.nixMachines.list()) {
    const connection = machine.status?.connection;
    if (connection?.online !== true || connection.replica === undefined) continue;
    asked.add(connection.replica);
    if (liveness.goneIn(connection.replica, at) === 0) queue.add(keyOf(machine), { priority: 'relist' });
  }
  liveness.keep(asked);
}

/** Deletes Leases that nobody will ever renew or withdraw. Never rejects: what is left is tried again. */
async function removeLeftLeases(
  replicas: readonly string[],
  { stores, client, signal, log }: MachineControllerOptions,
): Promise<void> {
  for (const lease of stores.leases.list()) {
    const replica = replicaOf(lease);
    if (replica === undefined || !replicas.includes(replica) || signal.aborted) continue;
    try {
      await client.delete(leases, lease.metadata, { signal, resourceVersion: lease.metadata.resourceVersion });
    } catch (error) {
      log.debug({ err: error, lease: lease.metadata.name }, 'the Lease of a dead replica could not be deleted');
    }
  }
}
