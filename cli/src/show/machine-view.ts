// What there is to see of one machine: why it has not moved, its place in the queue, and what its status says.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { forecast } from '@floe/operator/rollout/forecast';
import { ownership, selects } from '@floe/operator/rollout/ownership';
import { plan } from '@floe/operator/rollout/plan';
import type { Snapshot } from '@floe/operator/rollout/snapshot';
import { stepName } from '../course-text.ts';
import type { Objects } from '../objects.ts';
import { snapshotOf } from '../plan-input.ts';

export type Queue = {
  /** Counted from 1, among the machines that the step tells. */
  readonly place: number;
  readonly of: number;
  /** `3 batch of 10 %`. */
  readonly step: string;
  /** When it probably gets its go, RFC 3339. */
  readonly at: string;
  /** Whether that takes an approval first. */
  readonly approved: boolean;
};

export type MachineView = {
  readonly machine: NixMachine;
  /** The Rollout that moves it; undefined: none does. */
  readonly rollout: string | undefined;
  /** Why it does not move, as `floe plan` says it; undefined: it is done, or gets its order now. */
  readonly why: { readonly reason: string; readonly message: string } | undefined;
  readonly queue: Queue | undefined;
};

/** Reasons that are the machine's own or its run's: no place in a queue follows from them. */
const NO_QUEUE: readonly string[] = ['Failed', 'KnownBad', 'NotBuilt', 'InProgress', 'Offline', 'MachineSuspended'];

/** Looks at a machine and at the Rollout that owns it. */
export function machineView(machine: NixMachine, objects: Objects, now: Date): MachineView {
  const { name } = machine.metadata;
  const rollout = ownerOf(machine, objects.rollouts);
  if (rollout === undefined) return { machine, rollout: undefined, why: noRollout(machine, objects), queue: undefined };
  const snapshot = snapshotOf(objects, rollout, 'unknown');
  const hold = plan(snapshot, now).hold.find((one) => one.machine === name);
  const why = hold === undefined ? undefined : { reason: hold.reason, message: hold.message };
  const queue = why === undefined || NO_QUEUE.includes(why.reason) ? undefined : queueOf(name, snapshot, now);
  return { machine, rollout: rollout.metadata.name, why, queue };
}

function ownerOf(machine: NixMachine, rollouts: readonly Rollout[]): Rollout | undefined {
  return rollouts.find(
    (rollout) => selects(rollout, machine) && ownership(rollout, rollouts, [machine]).owned.length === 1,
  );
}

function noRollout({ spec }: NixMachine, { configs }: Objects): MachineView['why'] {
  const config = configs.find(({ metadata }) => metadata.name === spec.configRef.name);
  if (config?.spec.delivery === 'Immediate') return undefined;
  return config === undefined
    ? { reason: 'ConfigNotFound', message: `there is no NixConfig ${spec.configRef.name}; create it` }
    : { reason: 'NoRollout', message: `no Rollout of NixConfig ${spec.configRef.name} selects it; nobody moves it` };
}

/** Its place in the step that tells it, as the course of the rollout goes; undefined: that never tells it. */
function queueOf(name: string, snapshot: Snapshot, now: Date): Queue | undefined {
  const { waves, approved } = forecast(snapshot, now, { approved: true });
  const own = waves.find(({ dispatch }) => dispatch.some(({ machine }) => machine === name));
  if (own === undefined) return undefined;
  const told = waves.filter(({ step }) => step === own.step).flatMap(({ dispatch }) => dispatch);
  const place = told.findIndex(({ machine }) => machine === name) + 1;
  return { place, of: told.length, step: stepName(snapshot.rollout.spec, own.step), at: own.at, approved };
}
