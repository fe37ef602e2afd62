// Reads Floe's kinds from the API, and waits for what they shall say.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Condition } from '@floe/crds/object-meta';
import type { Rollout } from '@floe/crds/rollout';
import { waitUntil } from '../bed/wait-until.ts';

/** Where Floe's objects are read: a namespace of a cluster. */
export interface Objects {
  /** The objects of one of Floe's kinds, by its plural name, as the API has them now. */
  list(plural: string): Promise<readonly unknown[]>;
}

export interface Fleet {
  readonly configs: readonly NixConfig[];
  readonly machines: readonly NixMachine[];
  readonly rollouts: readonly Rollout[];
}

type Any = NixConfig | NixMachine | Rollout;

/** All objects of Floe in the namespace. */
export async function readFleet(objects: Objects): Promise<Fleet> {
  const [configs, machines, rollouts] = await Promise.all(
    ['nixconfigs', 'nixmachines', 'rollouts'].map((kind) => objects.list(kind)),
  );
  return { configs: configs as NixConfig[], machines: machines as NixMachine[], rollouts: rollouts as Rollout[] };
}

/** Whatever has conditions. */
type Conditioned = { readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined };

export function condition(object: Conditioned | undefined, type: string): Condition | undefined {
  return object?.status?.conditions?.find((item) => item.type === type);
}

/** Waits until `done` says so; when it does not, tells what each object said last. */
export async function waitForFleet(
  objects: Objects,
  what: string,
  done: (fleet: Fleet) => boolean,
  options: {
    readonly timeoutSeconds?: number;
    readonly each?: (fleet: Fleet) => void;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Fleet> {
  let last: Fleet = { configs: [], machines: [], rollouts: [] };
  await waitUntil(
    async () => {
      last = await readFleet(objects);
      options.each?.(last);
      return done(last);
    },
    {
      what,
      // Who looks at each state wants many of them; who waits for one does not, and each look costs the API server three lists.
      everySeconds: options.each === undefined ? 0.4 : 0.2,
      timeoutSeconds: options.timeoutSeconds ?? 120,
      explain: async () => describe(last),
      ...(options.signal ? { signal: options.signal } : {}),
    },
  );
  return last;
}

/** One line per object: what it runs and what its Ready condition says. */
export function describe(fleet: Fleet): string {
  const ready = (object: Any): string => {
    const found = condition(object, 'Ready');
    return found === undefined ? 'no Ready condition' : `Ready=${found.status} ${found.reason}: ${found.message}`;
  };
  return [
    ...fleet.configs.map(
      (config) => `${config.metadata.name} (config) ${config.status?.revision?.id ?? '-'} ${ready(config)}`,
    ),
    ...fleet.rollouts.map(
      (rollout) =>
        `${rollout.metadata.name} (rollout) ${rollout.status?.revision ?? '-'} ${rollout.status?.phase ?? '-'} ${ready(rollout)}`,
    ),
    ...fleet.machines.map((machine) => {
      const { desired, current, attempt } = machine.status ?? {};
      return `${machine.metadata.name} desired ${desired?.revision ?? '-'} current ${current?.revision ?? current?.closure ?? '-'} attempt ${attempt?.phase ?? '-'} ${ready(machine)}`;
    }),
  ].join('\n');
}
