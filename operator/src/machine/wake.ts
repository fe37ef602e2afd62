// Says which changes wake the reconciler of which machines.
import { APPROVE_KEY } from '@floe/crds/join-token';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { asksConsent } from '../conditions/consent.ts';
import { keyOfMachine } from '../conditions/identity.ts';
import { sameJson } from '../conditions/merge-patch.ts';
import { ownAttempt } from '../conditions/own-attempt.ts';
import { keyOf } from '../kube/object.ts';
import type { WorkQueue } from '../kube/queue.ts';
import type { Delta } from '../kube/store.ts';
import type { ClosureReader } from './closure-reader.ts';
import type { MachineStores } from './machine-stores.ts';

/** Enqueues every machine there is, and from then on those to which a change matters. Returns how to end that. */
export function wakeMachines(stores: MachineStores, queue: WorkQueue, closures: ClosureReader): () => void {
  for (const key of stores.nixMachines.keys()) queue.add(key, { priority: 'relist' });
  const wakeAll = (configKey: string) => {
    for (const machine of stores.nixMachines.by('config', configKey)) queue.add(keyOf(machine), { priority: 'relist' });
  };
  const ends = [
    stores.nixMachines.subscribe((delta) => {
      if (matters(delta)) queue.add(delta.key, { priority: delta.initial ? 'relist' : 'user' });
      for (const key of touchedKeys(delta)) {
        for (const holder of stores.nixMachines.by('sshHostKey', key)) queue.add(keyOf(holder));
      }
    }),
    stores.nixConfigs.subscribe((delta) => {
      if (delta.type === 'deleted') closures.forget(delta.key);
      if (configMatters(delta)) wakeAll(delta.key);
    }),
    stores.rollouts.subscribe(({ type, old, object }) => {
      if (type === 'updated' && sameJson(old?.spec?.selector, object.spec?.selector)) return;
      for (const one of [object, old]) {
        const name = one?.spec?.configRef?.name;
        if (typeof name === 'string') wakeAll(keyOf({ namespace: object.metadata.namespace, name }));
      }
    }),
    stores.controllerRevisions.subscribe(({ object }) => {
      for (const name of machinesOf(object))
        queue.add(keyOf({ namespace: object.metadata.namespace, name }), { priority: 'relist' });
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** What others write into the status wakes nobody, unless it undid what is written here. */
function matters({ type, old, object }: Delta<NixMachine>): boolean {
  if (type === 'deleted') return false;
  if (old === undefined || old.metadata.uid !== object.metadata.uid) return true;
  return (
    old.metadata.generation !== object.metadata.generation ||
    object.status?.observedGeneration !== object.metadata.generation ||
    !sameJson(old.metadata.labels, object.metadata.labels) ||
    !sameJson(old.status?.waiting, object.status?.waiting) ||
    joining(old) !== joining(object) ||
    asking(old) !== asking(object) ||
    old.status?.connection?.replica !== object.status?.connection?.replica
  );
}

/** What a machine that asks to join waits for. */
function joining({ metadata, status }: NixMachine): string {
  return `${metadata.annotations?.[APPROVE_KEY]} ${status?.pendingKey?.fingerprint}`;
}

/** What a question to the people at the machine hangs on; nothing where nobody is asked. */
function asking(machine: NixMachine): string {
  if (!asksConsent(machine)) return '';
  const { desired, consent } = machine.status ?? {};
  return JSON.stringify([desired?.id, desired?.go, ownAttempt(machine.status ?? {})?.phase, consent]);
}

/** SSH host keys of which the holders may have changed. */
function touchedKeys({ type, old, object }: Delta<NixMachine>): string[] {
  const before = old === undefined ? undefined : keyOfMachine(old);
  const after = type === 'deleted' ? undefined : keyOfMachine(object);
  return before === after ? [] : [before, after].filter((key) => key !== undefined);
}

function configMatters({ type, old, object }: Delta<NixConfig>): boolean {
  return (
    type !== 'updated' ||
    old?.spec?.delivery !== object.spec?.delivery ||
    old?.status?.revision?.id !== object.status?.revision?.id
  );
}

/** Machines of which a record may change what is said: those that failed, or were built after they had. */
function machinesOf({ data }: ControllerRevision): string[] {
  return [...Object.keys(data?.failures ?? {}), ...Object.keys(data?.machines ?? {})];
}
