// Says which changes wake the reconciler of which NixConfig.
import { API_VERSION } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import { type KubeObject, keyOf } from '../kube/object.ts';
import type { WorkQueue } from '../kube/queue.ts';
import type { Delta } from '../kube/store.ts';
import type { ConfigStores } from './stores.ts';

/** Machines come in crowds: their changes are gathered for so long before the config is looked at, in seconds. */
const GATHER_SECONDS = 0.3;

/** Enqueues every config there is, and from then on those to which a change matters. Returns how to end that. */
export function wakeOnChanges(stores: ConfigStores, queue: WorkQueue): () => void {
  for (const key of stores.nixConfigs.keys()) queue.add(key, { priority: 'relist' });
  const add = (key: string | undefined, initial: boolean) => {
    if (key !== undefined) queue.add(key, { priority: initial ? 'relist' : 'user' });
  };
  const ends = [
    stores.nixConfigs.subscribe((delta) => {
      if (specChanged(delta)) add(delta.key, delta.initial);
    }),
    stores.nixMachines.subscribe((delta) => {
      for (const key of new Set([configOf(delta.object), delta.old && configOf(delta.old)])) {
        const config = key === undefined ? undefined : stores.nixConfigs.get(key);
        if (config === undefined || !machineMatters(delta, config)) continue;
        queue.addAfter(keyOf(config), GATHER_SECONDS, { priority: delta.initial ? 'relist' : 'user' });
      }
    }),
    stores.jobs.subscribe(({ object, initial }) => add(ownerKey(object), initial)),
    stores.controllerRevisions.subscribe(({ object, initial }) => add(ownerKey(object), initial)),
    stores.pods.subscribe(({ object, initial }) => {
      const owner = object.metadata.ownerReferences?.find(({ kind }) => kind === 'Job');
      const job = owner && stores.jobs.get(keyOf({ namespace: object.metadata.namespace, name: owner.name }));
      if (job !== undefined) add(ownerKey(job), initial);
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** The spec, an order of a person or the object itself changed; the reconciler's own status writes wake nobody. */
function specChanged({ type, old, object }: Delta<NixConfig>): boolean {
  return (
    type !== 'updated' || old === undefined || old.metadata.uid !== object.metadata.uid || metadataChanged(old, object)
  );
}

function metadataChanged(old: KubeObject, object: KubeObject): boolean {
  const [before, after] = [old.metadata, object.metadata];
  return (
    before.generation !== after.generation ||
    before.deletionTimestamp !== after.deletionTimestamp ||
    JSON.stringify(before.annotations) !== JSON.stringify(after.annotations) ||
    JSON.stringify(before.labels) !== JSON.stringify(after.labels)
  );
}

/** What a machine reports matters only where the config itself gives it orders. */
function machineMatters({ type, old, object }: Delta<NixMachine>, config: NixConfig): boolean {
  if (type !== 'updated' || old === undefined || metadataChanged(old, object)) return true;
  return config.spec.delivery === 'Immediate';
}

function configOf({ metadata, spec }: NixMachine): string | undefined {
  // An old API server lets through what the schema forbids.
  const name = (spec as Partial<NixMachine['spec']> | undefined)?.configRef?.name;
  return typeof name === 'string' ? keyOf({ namespace: metadata.namespace, name }) : undefined;
}

function ownerKey({ metadata }: KubeObject): string | undefined {
  const owner = metadata.ownerReferences?.find(
    ({ kind, apiVersion }) => kind === 'NixConfig' && apiVersion === API_VERSION,
  );
  return owner && keyOf({ namespace: metadata.namespace, name: owner.name });
}
