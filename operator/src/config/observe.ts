// Observes everything that the plan of one NixConfig is made from.
import type { BuildProgress } from '@floe/crds/build';
import type { NixConfig } from '@floe/crds/nix-config';
import { parseRevisionRecord } from '@floe/crds/parse';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { keyOf } from '../kube/object.ts';
import { labelValue } from './names.ts';
import type { ConfigSettings } from './settings.ts';
import type { CacheView, Snapshot, SourceView } from './snapshot.ts';
import { BY_CONFIG, type ConfigStores } from './stores.ts';

export type ObservePorts = {
  readonly stores: ConfigStores;
  readonly settings: ConfigSettings;
  readonly records: RecordReader;
  readonly sourceOf: (key: string, config: NixConfig) => SourceView;
  readonly cacheOf: (key: string) => CacheView;
  readonly progressOf: (key: string) => ReadonlyMap<string, BuildProgress>;
};

/** What is there now. Nothing in it is copied: treat it as read-only. */
export function observe(config: NixConfig, ports: ObservePorts): Snapshot {
  const { stores, settings, records } = ports;
  const key = keyOf(config);
  const { namespace, name, uid } = config.metadata;
  const label = `${namespace}/${labelValue(name)}`;
  const owned = <T extends { metadata: { ownerReferences?: { uid: string }[] } }>({ metadata }: T) =>
    metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  return {
    config,
    source: ports.sourceOf(key, config),
    cache: ports.cacheOf(key),
    machines: stores.nixMachines.by(BY_CONFIG, key),
    // Those of a config of the same name that was deleted go with it.
    jobs: stores.jobs.by(BY_CONFIG, label).filter(owned),
    pods: stores.pods.by(BY_CONFIG, label),
    records: stores.controllerRevisions.by(BY_CONFIG, key).filter(owned).map(records.read),
    rollouts: stores.rollouts.by(BY_CONFIG, key),
    progress: ports.progressOf(key),
    preparation: { kind: 'unknown' },
    settings,
  };
}

/** Checks the data of ControllerRevisions, once for each object: they never change, and some are large. */
export class RecordReader {
  readonly #read = new WeakMap<ControllerRevision, ControllerRevision>();

  /** The record with its data, or without any where it is not a record of ours. */
  readonly read = (stored: ControllerRevision): ControllerRevision => {
    const known = this.#read.get(stored);
    if (known !== undefined) return known;
    const { data, ...rest } = stored;
    const parsed = parseRevisionRecord(data);
    const record: ControllerRevision = parsed.ok ? { ...rest, data: parsed.value } : rest;
    this.#read.set(stored, record);
    return record;
  };
}
