import type { NixConfigSpec } from '@floe/crds/nix-config';
import { expect, test } from 'vitest';
import { BUILDER_PATHS } from '../builder/paths.ts';
import type { Container, PodSpec } from '../kube/builtin.ts';
import type { BuildTask } from './build-task.ts';
import { config, inlineSource, SETTINGS } from './config.fixture.ts';
import { jobManifest, requestManifest } from './job-manifest.ts';
import type { ConfigSettings } from './settings.ts';

const task: BuildTask = {
  job: 'web-0123456789ab',
  revision: '0123456789ab',
  source: inlineSource(),
  machines: [{ name: 'm1', attribute: 'nixosConfigurations.m1' }],
};

function podOf(spec: Partial<NixConfigSpec> = {}, settings: Partial<ConfigSettings> = {}): PodSpec {
  return jobManifest(config(spec), task, { ...SETTINGS, ...settings }).spec.template.spec;
}

function containersOf(pod: PodSpec): Record<string, Container> {
  return Object.fromEntries(
    [...(pod.initContainers ?? []), ...pod.containers].map((container) => [container.name, container]),
  );
}

const mountsOf = (container: Container | undefined) => (container?.volumeMounts ?? []).map(({ name }) => name);

const secretSource = {
  source: {
    git: { url: 'https://git.example/fleet', secretRef: { name: 'git-login' } },
    inputsSecretRef: { name: 'inputs-login' },
  },
};

test('the Job: who owns it, what it is called, how long it may take', () => {
  const job = jobManifest(config({ build: { timeout: '1h30m' } }), task, SETTINGS);
  expect(job.metadata).toEqual({
    name: 'web-0123456789ab',
    namespace: 'demo',
    labels: { 'floe.dev/config': 'web', 'floe.dev/revision': '0123456789ab' },
    annotations: {
      'floe.dev/source': task.source.display,
      'floe.dev/attribute': 'nixosConfigurations.{machine}',
      'floe.dev/machines': '1',
    },
    ownerReferences: [
      {
        apiVersion: 'floe.dev/v1alpha1',
        kind: 'NixConfig',
        name: 'web',
        uid: 'uid-web',
        controller: true,
        blockOwnerDeletion: false,
      },
    ],
  });
  const { template, ...spec } = job.spec;
  expect(spec).toEqual({ backoffLimit: 0, completions: 1, parallelism: 1, activeDeadlineSeconds: 5400 });
  expect(template.metadata?.labels).toEqual(job.metadata.labels);
});

test('three containers in a row over one store, none of them privileged', () => {
  const pod = podOf();
  expect(pod.initContainers?.map(({ name, args }) => [name, args])).toEqual([
    ['fetch', ['builder', 'fetch']],
    ['build', ['builder', 'build']],
  ]);
  expect(pod.containers.map(({ name, args }) => [name, args])).toEqual([['push', ['builder', 'push']]]);
  expect(pod).toMatchObject({
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: {
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  });
  for (const [name, container] of Object.entries(containersOf(pod))) {
    expect(container.securityContext).toEqual({
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
    expect(mountsOf(container)).toContain('nix');
    expect(mountsOf(container)).toContain(`tmp-${name}`);
  }
  expect(pod.volumes).toContainEqual({ name: 'nix', emptyDir: {} });
});

test('each credential is seen by one container only', () => {
  const containers = containersOf(podOf(secretSource));
  const seenBy = (volume: string) =>
    Object.values(containers)
      .filter((c) => mountsOf(c).includes(volume))
      .map(({ name }) => name);
  expect(seenBy('source')).toEqual(['fetch']);
  expect(seenBy('inputs')).toEqual(['fetch']);
  for (const volume of ['signing', 'report-token', 'cache-token', 'cache-secret'])
    expect(seenBy(volume)).toEqual(['push']);
  expect(mountsOf(containers['build'])).toEqual(['nix', 'tmp-build', 'request']);
});

test('tokens are short-lived, each for one audience, and the signing key comes without its public half', () => {
  const { volumes } = podOf();
  const audiences = volumes?.flatMap(
    ({ projected }) => projected?.sources.map((source) => source.serviceAccountToken) ?? [],
  );
  expect(audiences).toEqual([
    { audience: 'floe-builds', path: 'token', expirationSeconds: 3600 },
    { audience: 'floe-cache', path: 'token', expirationSeconds: 3600 },
  ]);
  const signing = volumes?.find(({ name }) => name === 'signing')?.secret;
  expect(signing).toEqual({
    secretName: 'floe-signing-key',
    defaultMode: 0o440,
    items: [{ key: 'secret', path: 'secret' }],
  });
});

test('files lie where the builder looks for them', () => {
  const containers = containersOf(podOf(secretSource));
  const at = (name: string, volume: string) =>
    containers[name]?.volumeMounts?.find((mount) => mount.name === volume)?.mountPath;
  const { request, sourceSecret, inputsSecret, signingKey, cacheToken, cacheSecret, reportToken } = BUILDER_PATHS;
  expect(at('build', 'request')).toBe(request);
  expect(at('fetch', 'source')).toBe(sourceSecret);
  expect(at('fetch', 'inputs')).toBe(inputsSecret);
  expect(`${at('push', 'signing')}/secret`).toBe(signingKey);
  expect(`${at('push', 'cache-token')}/token`).toBe(cacheToken);
  expect(`${at('push', 'report-token')}/token`).toBe(reportToken);
  expect(at('push', 'cache-secret')).toBe(cacheSecret);
  expect(requestManifest(config(), task, '{}').data).toEqual({ 'request.json': '{}' });
});

const buildVolumes = {
  volumes: [{ name: 'cache', persistentVolumeClaim: { claimName: 'cache' } }],
  volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
};

test.each([
  { name: 'an http cache: only push writes', spec: {}, settings: {}, seen: { push: false } },
  {
    name: 'a file:// substituter: build reads',
    spec: {},
    settings: { cacheSubstituter: 'file:///cache' },
    seen: { build: true, push: false },
  },
  {
    name: 'a file:// source: fetch reads',
    spec: { source: { git: { url: 'file:///cache/repo' } } },
    settings: {},
    seen: { fetch: true, push: false },
  },
])('volumes of the administrator: $name', ({ spec, settings, seen }) => {
  const containers = containersOf(podOf(spec, { buildVolumes, ...settings }));
  const found = Object.entries(containers).flatMap(([name, { volumeMounts = [] }]) =>
    volumeMounts.filter((mount) => mount.name === 'cache').map((mount) => [name, mount.readOnly === true]),
  );
  expect(Object.fromEntries(found)).toEqual(seen);
});

test('settings of the spec reach the container that builds, and no other', () => {
  const resources = { requests: { memory: '2Gi' }, limits: { memory: '8Gi' } };
  const pod = podOf(
    { build: { resources, nodeSelector: { 'kubernetes.io/arch': 'amd64' } } },
    { buildServiceAccount: 'builder' },
  );
  const containers = containersOf(pod);
  expect(containers['build']?.resources).toEqual(resources);
  expect(containers['push']?.resources).not.toEqual(resources);
  expect(pod.nodeSelector).toEqual({ 'kubernetes.io/arch': 'amd64' });
  expect(pod.serviceAccountName).toBe('builder');
});
