// Reconciles one machine: observe, plan, apply.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { StatusWrite } from '../conditions/patch.ts';
import type { KubeClient, MergePatch } from '../kube/client.ts';
import type { Outcome, Reconcile } from '../kube/controller.ts';
import { isNotFound } from '../kube/error.ts';
import type { EventRecorder } from '../kube/events.ts';
import { parseKey } from '../kube/object.ts';
import { nixMachines } from '../kube/resource.ts';
import { type ObservePorts, observe } from './observe.ts';
import { planMachine } from './plan.ts';

export type MachinePorts = ObservePorts & {
  readonly client: Pick<KubeClient, 'mergePatch'>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly now: () => Date;
};

/** Reasons that a person should hear of when they appear, beside reading them in the status. */
const TOLD = new Set(['InvalidSpec', 'DuplicateKey']);

/** The reconcile function of the machine controller. */
export function machineReconciler(ports: MachinePorts): Reconcile {
  const { stores, events, now } = ports;
  return async (key, { signal, log }): Promise<Outcome> => {
    const machine = stores.nixMachines.get(key);
    if (machine === undefined || machine.metadata.deletionTimestamp !== undefined) return { kind: 'done' };
    const { write, nextCheckSeconds, wentOffline } = planMachine(observe(machine, ports), now());
    if (write !== undefined) {
      if (!(await apply(key, write, { ports, signal }))) return { kind: 'done' };
      const replica = machine.status?.connection?.replica;
      if (wentOffline) log.info({ replica }, 'machine lost its replica and did not return');
      tell(machine, write.next, events);
    }
    return nextCheckSeconds === undefined ? { kind: 'done' } : { kind: 'again', afterSeconds: nextCheckSeconds };
  };
}

/** Writes the status; false where the machine was deleted meanwhile. A lost race throws, and the key comes again. */
async function apply(
  key: string,
  { patch }: StatusWrite,
  { ports, signal }: { ports: MachinePorts; signal: AbortSignal },
): Promise<boolean> {
  try {
    const options = { subresource: 'status', signal } as const;
    const stored = await ports.client.mergePatch(nixMachines, parseKey(key), patch as MergePatch<NixMachine>, options);
    ports.stores.nixMachines.put(stored);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function tell(before: NixMachine, { status }: NixMachine, events: Pick<EventRecorder, 'event'>): void {
  const why = status?.waiting;
  if (why?.reason === 'WaitingForUser' && before.status?.waiting?.reason !== why.reason) {
    events.event(before, { type: 'Normal', reason: why.reason, message: why.message, action: 'Ask' });
  }
  if (why === undefined || !TOLD.has(why.reason) || before.status?.waiting?.message === why.message) return;
  events.event(before, { type: 'Warning', reason: why.reason, message: why.message, action: 'Reconcile' });
}
