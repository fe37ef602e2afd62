// Makes the manifests of a build: the ConfigMap with the request and the Job with its three containers.

import { basename, dirname } from 'node:path/posix';
import {
  BUILD_UID,
  BUILDS_TOKEN_FILE,
  CACHE_SECRET_DIR,
  CACHE_TOKEN_FILE,
  INPUTS_SECRET_DIR,
  NIX_DIR,
  REQUEST_FILE,
  SIGNING_KEY_FILE,
  SOURCE_SECRET_DIR,
} from '@floe/crds/build-layout';
import { AUDIENCE_BUILDS, AUDIENCE_CACHE, CACHE_SECRET, SIGNING_KEY_SECRET } from '@floe/crds/constants';
import { durationSeconds } from '@floe/crds/duration';
import type { NixConfig } from '@floe/crds/nix-config';
import type { ConfigMap, Container, Job, PodSpec, Volume } from '../kube/builtin.ts';
import type { OwnerReference } from '../kube/object.ts';
import type { BuildTask } from './build-task.ts';
import { ownedLabels } from './names.ts';
import { DEFAULT_ATTRIBUTE } from './revision-id.ts';
import type { ConfigSettings } from './settings.ts';

/** Annotations of a Job: what it builds, so that an operator that starts anew can say so. */
export const ANNOTATION_SOURCE = 'floe.dev/source';
export const ANNOTATION_ATTRIBUTE = 'floe.dev/attribute';
export const ANNOTATION_MACHINES = 'floe.dev/machines';

const DEFAULT_TIMEOUT_SECONDS = 7200;
/** Secrets are root's; the group makes them readable for the containers' user, and for nobody else. */
const SECRET_MODE = 0o440;

type Mount = NonNullable<Container['volumeMounts']>[number];

/** The object that owns everything a config makes. */
export function ownerOf(config: NixConfig): OwnerReference {
  return {
    apiVersion: config.apiVersion,
    kind: config.kind,
    name: config.metadata.name,
    uid: config.metadata.uid ?? '',
    controller: true,
    // Floe may not change finalizers of a NixConfig, which this field would ask for where that is guarded.
    blockOwnerDeletion: false,
  };
}

/** The ConfigMap from which all containers read `request.json`; it has the Job's name. */
export function requestManifest(config: NixConfig, task: BuildTask, json: string): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(config, task),
    data: { [basename(REQUEST_FILE)]: json },
  };
}

/** The Job. The same input always gives the same manifest. */
export function jobManifest(config: NixConfig, task: BuildTask, settings: ConfigSettings): Job {
  const { build, source } = config.spec;
  const labels = ownedLabels(config.metadata.name, task.revision);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...metadataOf(config, task),
      annotations: {
        [ANNOTATION_SOURCE]: task.source.display,
        [ANNOTATION_ATTRIBUTE]: config.spec.attribute ?? DEFAULT_ATTRIBUTE,
        [ANNOTATION_MACHINES]: String(task.machines.length),
      },
    },
    spec: {
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      activeDeadlineSeconds: Math.max(1, Math.ceil(durationSeconds(build?.timeout ?? '') ?? DEFAULT_TIMEOUT_SECONDS)),
      template: { metadata: { labels }, spec: podSpec({ build, source, task, settings }) },
    },
  };
}

function metadataOf(config: NixConfig, task: BuildTask): Job['metadata'] {
  const { namespace } = config.metadata;
  return {
    name: task.job,
    ...(namespace === undefined ? {} : { namespace }),
    labels: ownedLabels(config.metadata.name, task.revision),
    ownerReferences: [ownerOf(config)],
  };
}

type PodInput = {
  build: NixConfig['spec']['build'];
  source: NixConfig['spec']['source'];
  task: BuildTask;
  settings: ConfigSettings;
};

function podSpec({ build, source, task, settings }: PodInput): PodSpec {
  const extra = extraVolumes(settings);
  const small = { requests: { cpu: '100m', memory: '256Mi' } };
  const secrets = sourceSecrets(source);
  const request = { name: 'request', mountPath: REQUEST_FILE, subPath: basename(REQUEST_FILE), readOnly: true };
  const container = (name: string, resources: Container['resources'], mounts: Mount[]): Container => ({
    name,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: ['builder', name],
    env: [
      { name: 'HOME', value: '/tmp/home' },
      { name: 'TMPDIR', value: '/tmp' },
    ],
    ...(resources === undefined ? {} : { resources }),
    securityContext: {
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    // Each container has a /tmp of its own: what is built must not leave anything for `push` to find.
    volumeMounts: [{ name: 'nix', mountPath: NIX_DIR }, { name: `tmp-${name}`, mountPath: '/tmp' }, request, ...mounts],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  });
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(settings.buildServiceAccount === undefined ? {} : { serviceAccountName: settings.buildServiceAccount }),
    ...(build?.nodeSelector === undefined ? {} : { nodeSelector: build.nodeSelector }),
    securityContext: {
      runAsUser: BUILD_UID,
      runAsGroup: BUILD_UID,
      fsGroup: BUILD_UID,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: [
      container('fetch', small, [...secrets.mounts, ...(readsFiles(source) ? extra.readOnly : [])]),
      container('build', build?.resources, settings.cacheSubstituter.startsWith('file:') ? extra.readOnly : []),
    ],
    containers: [
      container('push', small, [
        { name: 'signing', mountPath: dirname(SIGNING_KEY_FILE), readOnly: true },
        { name: 'report-token', mountPath: dirname(BUILDS_TOKEN_FILE), readOnly: true },
        { name: 'cache-token', mountPath: dirname(CACHE_TOKEN_FILE), readOnly: true },
        { name: 'cache-secret', mountPath: CACHE_SECRET_DIR, readOnly: true },
        ...extra.mounts,
      ]),
    ],
    volumes: [
      { name: 'nix', emptyDir: {} },
      ...['fetch', 'build', 'push'].map((name) => ({ name: `tmp-${name}`, emptyDir: {} })),
      { name: 'request', configMap: { name: task.job } },
      ...secrets.volumes,
      { name: 'signing', secret: signingKeyOnly() },
      token('report-token', AUDIENCE_BUILDS, BUILDS_TOKEN_FILE),
      token('cache-token', AUDIENCE_CACHE, CACHE_TOKEN_FILE),
      { name: 'cache-secret', secret: { secretName: CACHE_SECRET, defaultMode: SECRET_MODE, optional: true } },
      ...extra.volumes,
    ],
  };
}

function signingKeyOnly(): NonNullable<Volume['secret']> {
  const key = basename(SIGNING_KEY_FILE);
  return { secretName: SIGNING_KEY_SECRET, defaultMode: SECRET_MODE, items: [{ key: 'secret', path: key }] };
}

/** A token of the pod's service account for one audience; kubelet renews it while the pod runs. */
function token(name: string, audience: string, file: string): Volume {
  const source = { audience, path: basename(file), expirationSeconds: 3600 };
  return { name, projected: { defaultMode: SECRET_MODE, sources: [{ serviceAccountToken: source }] } };
}

/** Whether fetching reads from a shared volume. */
function readsFiles({ git, flake }: NixConfig['spec']['source']): boolean {
  return /^(git\+)?file:/.test(git?.url ?? flake ?? '');
}

function sourceSecrets({ git, inputsSecretRef }: NixConfig['spec']['source']): { volumes: Volume[]; mounts: Mount[] } {
  const named = [
    { name: 'source', secret: git?.secretRef?.name, mountPath: SOURCE_SECRET_DIR },
    { name: 'inputs', secret: inputsSecretRef?.name, mountPath: INPUTS_SECRET_DIR },
  ];
  const volumes: Volume[] = [];
  const mounts: Mount[] = [];
  for (const { name, secret, mountPath } of named) {
    if (secret === undefined) continue;
    volumes.push({ name, secret: { secretName: secret, defaultMode: SECRET_MODE } });
    mounts.push({ name, mountPath, readOnly: true });
  }
  return { volumes, mounts };
}

/** The administrator's volumes as they were given; the API server checks them. */
function extraVolumes({ buildVolumes }: ConfigSettings): { volumes: Volume[]; mounts: Mount[]; readOnly: Mount[] } {
  const mounts = buildVolumes.volumeMounts as Mount[];
  return {
    volumes: buildVolumes.volumes as Volume[],
    mounts,
    readOnly: mounts.map((mount) => ({ ...mount, readOnly: true })),
  };
}
