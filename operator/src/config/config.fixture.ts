// Objects for the tests of the NixConfig reconciler.
import type { NixConfig, NixConfigSpec, NixConfigStatus } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision, RevisionRecord } from '@floe/crds/revision-record';
import type { Job, Pod } from '../kube/builtin.ts';
import { ownedLabels, recordName } from './names.ts';
import { revisionId, sourceKey } from './revision-id.ts';
import type { ConfigSettings } from './settings.ts';
import type { Snapshot, SourceView } from './snapshot.ts';
import type { ResolvedSource } from './source.ts';
import { resolveInline } from './source-inline.ts';

export const NOW: Date = new Date('2026-01-01T12:00:00Z');
export const EARLIER = '2026-01-01T11:00:00Z';

export const SETTINGS: ConfigSettings = {
  image: 'floe:test',
  imagePullPolicy: 'IfNotPresent',
  cacheUrl: 'http://cache/{namespace}',
  cacheSubstituter: 'http://cache/{namespace}',
  substituters: [],
  reportUrl: 'https://floe:8443/v1/builds',
  reportCa: undefined,
  buildVolumes: { volumes: [], volumeMounts: [] },
  buildServiceAccount: undefined,
};

export const FILES: Record<string, string> = { 'flake.nix': '{ outputs = _: { }; }' };

export function config(
  spec: Partial<NixConfigSpec> = {},
  more: { status?: NixConfigStatus; annotations?: Record<string, string>; generation?: number } = {},
): NixConfig {
  const { status, annotations, generation = 1 } = more;
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixConfig',
    metadata: {
      name: 'web',
      namespace: 'demo',
      uid: 'uid-web',
      generation,
      creationTimestamp: EARLIER,
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: { source: { inline: { files: FILES } }, ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

export function machine(
  name: string,
  more: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    spec?: Partial<NixMachine['spec']>;
    status?: NixMachine['status'];
    createdAt?: string;
  } = {},
): NixMachine {
  const { labels, annotations, spec, status, createdAt = EARLIER } = more;
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: {
      name,
      namespace: 'demo',
      uid: `uid-${name}`,
      creationTimestamp: createdAt,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: { configRef: { name: 'web' }, ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

export function inlineSource(files: Record<string, string> = FILES): ResolvedSource {
  const found = resolveInline(files);
  if (found.kind !== 'resolved') throw new Error(found.problem.message);
  return found.source;
}

/** What is known after a look that found the inline files of a config. */
export function looked(of: NixConfig, more: Partial<SourceView> = {}): SourceView {
  const files = of.spec.source.inline?.files ?? FILES;
  return {
    looking: false,
    failures: 0,
    at: NOW.getTime() - 60_000,
    key: sourceKey(of.spec),
    ...(of.metadata.generation === undefined ? {} : { generation: of.metadata.generation }),
    source: inlineSource(files),
    ...more,
  };
}

export function revisionOf(of: NixConfig): string {
  return revisionId(inlineSource(of.spec.source.inline?.files ?? FILES), of.spec);
}

export function snapshot(of: NixConfig, more: Partial<Snapshot> = {}): Snapshot {
  return {
    config: of,
    source: looked(of),
    cache: { looking: false, rounds: 0, missing: [], asked: 0 },
    machines: [],
    jobs: [],
    pods: [],
    records: [],
    rollouts: [],
    progress: new Map(),
    preparation: { kind: 'ready', publicKey: 'demo-floe-1:AAAA' },
    settings: SETTINGS,
    ...more,
  };
}

export function job(
  name: string,
  revision: string,
  more: { status?: Job['status']; deleting?: boolean; uid?: string } = {},
): Job {
  const { status, deleting = false, uid = `uid-${name}` } = more;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      namespace: 'demo',
      uid,
      creationTimestamp: '2026-01-01T11:59:30Z',
      labels: ownedLabels('web', revision),
      ownerReferences: [
        { apiVersion: 'floe.dev/v1alpha1', kind: 'NixConfig', name: 'web', uid: 'uid-web', controller: true },
      ],
      ...(deleting ? { deletionTimestamp: EARLIER } : {}),
    },
    spec: { activeDeadlineSeconds: 7200, template: { spec: { containers: [] } } },
    ...(status === undefined ? {} : { status }),
  };
}

export function pod(of: Job, status: Pod['status']): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${of.metadata.name}-abcde`,
      namespace: 'demo',
      uid: `pod-of-${of.metadata.uid}`,
      labels: of.metadata.labels ?? {},
      ownerReferences: [
        { apiVersion: 'batch/v1', kind: 'Job', name: of.metadata.name, uid: of.metadata.uid ?? '', controller: true },
      ],
    },
    spec: { containers: [] },
    ...(status === undefined ? {} : { status }),
  };
}

export const CLOSURE = (name: string): string => `/nix/store/${'a'.repeat(32)}-${name}`;

/** The record of a Job's result, in one part. */
export function record(
  of: Job,
  revision: string,
  data: Partial<RevisionRecord> & { number?: number } = {},
): ControllerRevision {
  const { number = 1_767_265_000, ...rest } = data;
  const { name, uid = '' } = of.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: recordName('web', revision, { name, uid }, 0),
      namespace: 'demo',
      labels: ownedLabels('web', revision),
      ownerReferences: [
        { apiVersion: 'floe.dev/v1alpha1', kind: 'NixConfig', name: 'web', uid: 'uid-web', controller: true },
      ],
    },
    revision: number,
    data: {
      config: 'web',
      revision,
      source: 'inline@1234567',
      builtAt: '2026-01-01T11:59:59Z',
      part: 0,
      parts: 1,
      job: name,
      machines: {},
      failures: {},
      summary: { seconds: 41, closures: 3, bytes: 222_298_112, builtDerivations: 3 },
      ...rest,
    },
  };
}
