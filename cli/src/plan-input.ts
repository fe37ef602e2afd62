// What `floe plan` plans: the Rollout that the flags name, the objects around it, and the time.
import type { Rollout } from '@floe/crds/rollout';
import { closuresOf, type WithoutRecord } from '@floe/operator/rollout/closures';
import type { Snapshot } from '@floe/operator/rollout/snapshot';
import { documentsOf } from './documents.ts';
import type { Flags } from './flags.ts';
import { InputError } from './input-error.ts';
import { type Objects, objectsOf } from './objects.ts';

/** Reads a file, or the standard input for `-`. */
export type ReadText = (file: string) => Promise<string>;

export type PlanPorts = { readonly read: ReadText; readonly now: Date };

/** Flags that say what is planned. */
export const PLAN_FLAGS = { file: 'text', now: 'text', rollout: 'text' } as const;

/** Reads what `--file`, `--rollout` and `--now` name. Throws InputError on wrong input. */
export async function planInput(
  flags: Flags,
  { read, now }: PlanPorts,
): Promise<{ readonly snapshot: Snapshot; readonly now: Date }> {
  const [extra] = flags.rest;
  if (extra !== undefined) {
    throw new InputError({ error: `${extra} is not understood`, field: extra, remedy: 'see kubectl floe plan --help' });
  }
  const file = flags.text('file');
  if (file === undefined) {
    throw new InputError({
      error: 'no input is named',
      field: '--file',
      remedy: 'give -f FILE, or -f - for the standard input',
    });
  }
  const at = timeOf(flags.text('now'), now);
  const source = file === '-' ? 'standard input' : file;
  const objects = objectsOf(documentsOf(await read(file), source), source);
  return { snapshot: snapshotOf(objects, pick(objects.rollouts, flags.text('rollout'))), now: at };
}

/** What the planner looks at for a Rollout. `without`: what a revision without a record means. */
export function snapshotOf(objects: Objects, rollout: Rollout, without: WithoutRecord = 'built'): Snapshot {
  const name = rollout.spec.configRef.name;
  const here = ({ metadata }: { metadata: { namespace?: string } }) =>
    (metadata.namespace ?? 'default') === (rollout.metadata.namespace ?? 'default');
  return {
    rollout,
    rollouts: objects.rollouts.filter(here),
    configs: objects.configs.filter(here),
    config: objects.configs.find((config) => here(config) && config.metadata.name === name),
    machines: objects.machines.filter(here),
    closures: closuresOf(objects.records.filter(here), name, without),
  };
}

function pick(rollouts: readonly Rollout[], wanted: string | undefined): Rollout {
  const names = rollouts.map(({ metadata }) => metadata.name).sort();
  const listed = names.length === 0 ? 'there is none in the input' : `the input has ${names.join(', ')}`;
  const found = rollouts.filter(({ metadata: { name, namespace } }) => {
    return wanted === undefined || wanted === name || wanted === `${namespace ?? 'default'}/${name}`;
  });
  const [first, second] = found;
  if (first === undefined) {
    throw wanted === undefined
      ? new InputError({
          error: 'no Rollout is in the input',
          field: 'kind',
          remedy: 'add a Rollout of floe.dev/v1alpha1',
        })
      : new InputError({ error: `no Rollout ${wanted}: ${listed}`, field: '--rollout', remedy: 'name one of them' });
  }
  if (second !== undefined) {
    throw new InputError({
      error: `several Rollouts fit: ${listed}`,
      field: '--rollout',
      remedy:
        wanted === undefined
          ? `choose one with --rollout, --rollout ${first.metadata.name} for instance`
          : 'name its namespace: NAMESPACE/NAME',
    });
  }
  return first;
}

/** RFC 3339 with its zone: a time without one would mean something else on each machine. */
function timeOf(text: string | undefined, now: Date): Date {
  if (text === undefined) return now;
  const isTime = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.test(text);
  const time = new Date(text.toUpperCase().replace(' ', 'T'));
  if (!isTime || Number.isNaN(time.getTime())) {
    throw new InputError({
      error: `${JSON.stringify(text)} is no time`,
      field: '--now',
      remedy: 'give RFC 3339 with its zone, 2026-03-01T14:31:00Z',
    });
  }
  return time;
}
