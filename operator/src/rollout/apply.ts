// Carries out the plan of a Rollout: its status first, then the orders to machines. It decides nothing.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { mergePatchOf } from '../conditions/merge-patch.ts';
import { timeMs } from '../conditions/moment.ts';
import { type StatusChanges, statusPatch } from '../conditions/patch.ts';
import type { KubeClient, MergePatch } from '../kube/client.ts';
import type { CongestionWindow, Send } from '../kube/congestion-window.ts';
import { isConflict, isNotFound } from '../kube/error.ts';
import { nixMachines, rollouts } from '../kube/resource.ts';
import { orderChanges, rebootChanges } from './order-desired.ts';
import type { Plan } from './plan-result.ts';
import type { Snapshot } from './snapshot.ts';
import type { RolloutStores } from './stores.ts';
import type { Order } from './tell.ts';

export const FIELD_MANAGER = 'floe-rollout';

/** How far the clock of a leader may be ahead of the next one's, in ms; what is further off is wrong. */
const CLOCKS_APART_MS = 60_000;

/** Orders that ask for room in the window at once; more would only keep the hub's own writes waiting. */
const PARALLEL = 16;

export type ApplyPorts = {
  readonly client: Pick<KubeClient, 'mergePatch'>;
  readonly stores: RolloutStores;
  /** Room among all writes to the API server. */
  readonly window: Pick<CongestionWindow, 'run'>;
  readonly now: () => Date;
  readonly signal: AbortSignal;
};

/** Orders that were written, and those that lost a race against the machine's own news. */
export type Applied = { readonly written: number; readonly lost: number };

/**
 * Stores the next status of a Rollout. It goes before the orders that follow from it, so that whoever starts anew in
 * between finds the same run and step and decides the same. Conflicts throw: plan again.
 */
export async function writeStatus(rollout: Rollout, status: RolloutStatus, ports: ApplyPorts): Promise<void> {
  const patch = mergePatchOf(rollout.status ?? {}, status);
  if (patch === undefined) return;
  const { resourceVersion } = rollout.metadata;
  const body = { metadata: resourceVersion === undefined ? {} : { resourceVersion }, status: patch };
  const answer = await ports.client.mergePatch(rollouts, rollout.metadata, body as unknown as MergePatch<Rollout>, {
    subresource: 'status',
    fieldManager: FIELD_MANAGER,
    signal: ports.signal,
  });
  ports.stores.rollouts.put(answer);
}

/** What to write for a machine at a moment (ms); undefined: nothing any more. */
type Telling = {
  readonly machine: string;
  readonly changes: (machine: NixMachine, now: number) => StatusChanges | undefined;
};

/** Restarts and returns go first: they end what was begun. */
function tellingsOf(rollout: string, plan: Plan): Telling[] {
  const run = plan.status.run ?? '';
  const start = timeMs(plan.status.step?.startedAt) ?? 0;
  // Of its step is who was told since that began, also where the leader whose clock said when was a little ahead.
  const dated = (now: number): number => (start - now < CLOCKS_APART_MS ? Math.max(start, now) : now);
  const telling = (order: Order, go: boolean): Telling => ({
    machine: order.machine,
    changes: (machine, now) => orderChanges(machine, order, { rollout, run, go, now: dated(now) }),
  });
  return [
    ...plan.reboot.map(({ machine }): Telling => ({ machine, changes: rebootChanges })),
    ...plan.rollback.map((order) => telling(order, true)),
    ...plan.dispatch.map((order) => telling(order, true)),
    ...plan.fetch.map((order) => telling(order, false)),
    ...plan.adopt.map((order) => telling(order, true)),
  ];
}

/** Writes the orders of a plan, some at a time. An order that loses a race is left to the next plan. */
export async function writeOrders({ machines, rollout }: Snapshot, plan: Plan, ports: ApplyPorts): Promise<Applied> {
  const byName = new Map(machines.map((machine) => [machine.metadata.name, machine]));
  const tellings = tellingsOf(rollout.metadata.name, plan);
  const queue = tellings.values();
  let written = 0;
  let lost = 0;
  const work = async () => {
    for (const { machine: name, changes } of queue) {
      const machine = byName.get(name);
      if (machine === undefined || ports.signal.aborted) continue;
      // The order is dated when it is written, not when it began to wait for room.
      const isWritten = await ports.window.run((send) => {
        const change = changes(machine, ports.now().getTime());
        return change === undefined ? Promise.resolve(false) : writeMachine(machine, change, { ...ports, send });
      }, ports.signal);
      if (isWritten) written += 1;
      else lost += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, tellings.length) }, work));
  return { written, lost };
}

async function writeMachine(
  machine: NixMachine,
  changes: StatusChanges,
  { client, stores, now, signal, send }: ApplyPorts & { readonly send: Send },
): Promise<boolean> {
  const write = statusPatch(machine, changes, now());
  if (write === undefined) return true;
  try {
    const patch = write.patch as unknown as MergePatch<NixMachine>;
    const options = { subresource: 'status', fieldManager: FIELD_MANAGER, signal } as const;
    stores.nixMachines.put(await send(() => client.mergePatch(nixMachines, machine.metadata, patch, options)));
    return true;
  } catch (error) {
    if (isConflict(error) || isNotFound(error)) return false;
    throw error;
  }
}
