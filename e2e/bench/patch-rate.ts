// Measures how many status PATCHes the API server takes, with one watch open on the kind: what a rollout is compared with.
import { setTimeout as sleep } from 'node:timers/promises';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { KubeClient, MergePatch } from '@floe/operator/kube/client';
import { isGone } from '@floe/operator/kube/error';
import { nixMachines } from '@floe/operator/kube/resource';

export type PatchRateOptions = {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The objects to write to, as they are now. */
  readonly machines: readonly NixMachine[];
  /** Version from which the watch starts. */
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** Writes in flight. Default 32. */
  readonly parallel?: number;
  /** Default 2 s before the measuring begins, 8 s of measuring. */
  readonly warmSeconds?: number;
  readonly seconds?: number;
};

export type PatchRate = { readonly perSecond: number; readonly writes: number; readonly events: number };

/** How long the watch may lag behind. */
const LAG_SECONDS = 2;
/** No run of it writes more often than this. */
const MOST_WRITES = 50_000;

/** Writes to machine after machine, and counts. Each write is as large as one of a rollout, and guarded like it. */
export async function measurePatchRate(options: PatchRateOptions): Promise<PatchRate> {
  const { client, machines, parallel = 32, warmSeconds = 2, seconds = 8 } = options;
  const over = new AbortController();
  const limit = AbortSignal.timeout((warmSeconds + seconds + 30) * 1000);
  const signal = AbortSignal.any([options.signal, over.signal, limit]);
  const watching = watchAll(options, signal);
  let writes = 0;
  let stopped = false;
  // Each writer has machines of its own: two writes to one object at a time would only lose races.
  const write = async (own: NixMachine[]): Promise<void> => {
    for (let at = 0; !stopped && writes < MOST_WRITES; at = (at + 1) % own.length) {
      const machine = own[at];
      if (machine === undefined) return;
      own[at] = await client.mergePatch(nixMachines, machine.metadata, patchFor(machine), {
        subresource: 'status',
        fieldManager: 'floe-bench',
        signal,
      });
      writes += 1;
    }
  };
  const writers = Array.from({ length: Math.min(parallel, machines.length) }, (_, writer) =>
    write(machines.filter((_, at) => at % parallel === writer)),
  );
  const working = Promise.all(writers);
  try {
    await Promise.race([sleep(warmSeconds * 1000, undefined, { signal }), working]);
    const [writesBefore, began] = [writes, performance.now()];
    await Promise.race([sleep(seconds * 1000, undefined, { signal }), working]);
    const done = writes - writesBefore;
    const perSecond = (done * 1000) / (performance.now() - began);
    stopped = true;
    await working;
    await sleep(LAG_SECONDS * 1000, undefined, { signal });
    over.abort();
    const events = await watching;
    if (events < writes / 2) throw new Error(`the watch told only ${events} of ${writes} writes`);
    return { perSecond, writes, events };
  } finally {
    stopped = true;
    over.abort();
    await Promise.allSettled([working, watching]);
  }
}

/** An order anew: what a rollout writes first. */
function patchFor({ metadata, status }: NixMachine): MergePatch<NixMachine> {
  const { desired, conditions } = status ?? {};
  const { resourceVersion } = metadata;
  if (desired === undefined || resourceVersion === undefined) throw new Error(`${metadata.name} has no order yet`);
  const next = { ...desired, sequence: desired.sequence + 1, since: new Date().toISOString() };
  const changes = { desired: next, ...(conditions === undefined ? {} : { conditions }) };
  return { metadata: { resourceVersion }, status: changes } as unknown as MergePatch<NixMachine>;
}

/**
 * Keeps one watch open on the kind until the signal aborts, and returns how many events came. An API server that is
 * short of processor time ends watches that it can't feed in time; they are opened again where they ended, as by any client.
 */
async function watchAll(options: PatchRateOptions, signal: AbortSignal): Promise<number> {
  const { client, namespace } = options;
  let { resourceVersion } = options;
  let events = 0;
  while (!signal.aborted) {
    try {
      for await (const { type, object } of client.watch(nixMachines, { namespace, resourceVersion, signal })) {
        resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
        if (type === 'MODIFIED') events += 1;
      }
    } catch (error) {
      if (signal.aborted) break;
      if (!isGone(error)) throw error;
      resourceVersion = await versionNow(options, signal);
    }
  }
  return events;
}

async function versionNow({ client, namespace }: PatchRateOptions, signal: AbortSignal): Promise<string> {
  for await (const page of client.listPages(nixMachines, { namespace, limit: 1, signal })) return page.resourceVersion;
  throw new Error('the list of NixMachines has no page');
}
