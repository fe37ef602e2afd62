// What GitOps tools make of the kinds: Argo CD's health checks and buttons in Lua, and two managers under server-side apply.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import { ROLLOUT_PHASES, type Rollout, type RolloutPhase } from '@floe/crds/rollout';
import { deriveConditions } from '@floe/operator/conditions/derive';
import { attempt, desired, machine, OFFLINE, onNew, running } from '@floe/operator/conditions/machine.fixture';
import { conditionsOf as configConditions } from '@floe/operator/config/conditions';
import type { KubeClient } from '@floe/operator/kube/client';
import type { KubeObject } from '@floe/operator/kube/object';
import { nixMachines, type Resource } from '@floe/operator/kube/resource';
import { conditionsOf as rolloutConditions } from '@floe/operator/rollout/conditions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { artefacts } from '../bed/artefacts.ts';
import { ensurePackages } from '../bed/ensure-host.ts';
import { projectDir } from '../bed/paths.ts';
import { run, tryRun } from '../bed/run.ts';
import { luaTable, runLua } from '../gitops/lua.ts';
import { installKinds } from '../real-apiserver/kinds.ts';
import { RealApiServer } from '../real-apiserver/real-api-server.ts';

const EXAMPLES = join(projectDir, 'examples/gitops');
const NOW = new Date('2026-03-01T10:00:00Z');
const done = { desired: desired(), attempt: attempt('Committed'), ...onNew };

/** Data of the ConfigMap argocd-cm, as kubectl makes it of the example. */
let argo: Readonly<Record<string, string>>;
let kubectl: string;

beforeAll(async () => {
  await ensurePackages({}, 'gitops');
  kubectl = join((await artefacts()).tools, 'kubectl');
  const made = await run([kubectl, 'kustomize', join(EXAMPLES, 'argocd')]);
  argo = (parse(made) as { data: Record<string, string> }).data;
});

function seen(of: NixMachine): NixMachine {
  const looked: NixMachine = { ...of, status: { observedGeneration: 1, ...of.status } };
  return { ...looked, status: { ...looked.status, conditions: deriveConditions(looked, NOW) } };
}

function config(course: 'working' | 'stuck' | 'idle', ready: 'True' | 'False', suspend = false): NixConfig {
  const conditions = configConditions({ ready, course, reason: 'R', message: 'as it is' }, [], {
    generation: 1,
    sandboxed: undefined,
    now: NOW,
  });
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixConfig',
    metadata: { name: 'web', namespace: 'fleet', generation: 1 },
    spec: { source: { flake: 'github:acme/fleet' }, suspend },
    status: { observedGeneration: 1, conditions },
  };
}

function rollout(
  phase: RolloutPhase,
  over: Partial<Rollout['status']> & { suspend?: boolean; reason?: string } = {},
): Rollout {
  const { suspend = false, reason = phase, ...status } = over;
  const bare: Rollout = {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'web', namespace: 'fleet', generation: 1 },
    spec: { configRef: { name: 'web' }, suspend },
  };
  const described = {
    phase,
    reason,
    message: 'as it is',
    stalled: phase === 'Failed' ? 'threshold missed. kubectl floe retry web' : undefined,
    incomplete: undefined,
    overlapping: undefined,
    nothingSelected: undefined,
    newer: undefined,
  };
  const conditions = rolloutConditions(bare, described, NOW.getTime());
  return {
    ...bare,
    status: { observedGeneration: 1, phase, conditions, run: 'r-1', step: { index: 2, total: 4 }, ...status },
  };
}

const CASES: readonly (readonly [string, KubeObject, string])[] = [
  ['a config that builds', config('working', 'False'), 'Progressing'],
  ['a config that is built', config('idle', 'True'), 'Healthy'],
  ['a config whose source can not be read', config('stuck', 'False'), 'Degraded'],
  ['a config that is suspended', config('idle', 'False', true), 'Suspended'],
  ['a config that is suspended and stuck', config('stuck', 'False', true), 'Degraded'],
  ['a config that was edited', { ...config('idle', 'True'), metadata: { name: 'web', generation: 2 } }, 'Progressing'],
  [
    'a config that is new',
    { ...config('idle', 'True'), status: { observedGeneration: -1 } } as KubeObject,
    'Progressing',
  ],
  ['a config without a status', { ...config('idle', 'True'), status: undefined } as KubeObject, 'Progressing'],
  ['a rollout, idle', rollout('Idle'), 'Progressing'],
  ['a rollout that moves', rollout('Progressing'), 'Progressing'],
  ['a rollout that waits for a person', rollout('Paused'), 'Suspended'],
  ['a rollout that waits for a time', rollout('Paused', { nextChange: '2026-03-01T12:00:00Z' }), 'Progressing'],
  ['a rollout that is suspended', rollout('Paused', { suspend: true, reason: 'Suspended' }), 'Suspended'],
  ['a rollout whose analysis can not tell', rollout('Progressing', { reason: 'Inconclusive' }), 'Suspended'],
  ['a rollout that goes back', rollout('RollingBack'), 'Progressing'],
  ['a rollout that is completed', rollout('Completed'), 'Healthy'],
  ['a rollout that stopped', rollout('Failed'), 'Degraded'],
  ['a machine that is new', machine({ observedGeneration: -1 }), 'Progressing'],
  ['a machine that has never connected', seen(machine({ observedGeneration: 1 })), 'Progressing'],
  ['a machine without an order', seen(machine(running())), 'Progressing'],
  ['a machine on hold', seen(machine(running(), { hold: { reason: 'disk' } })), 'Suspended'],
  ...['Fetching', 'Testing', 'Confirming', 'Committing', 'Rebooting', 'RollingBack'].map((phase) => {
    const of = seen(machine(running({ desired: desired(), attempt: attempt(phase) })));
    return [`a machine, ${phase}`, of, 'Progressing'] as const;
  }),
  ...['RolledBack', 'Failed', 'Cancelled'].map((phase) => {
    const of = seen(machine(running({ desired: desired(), attempt: attempt(phase) })));
    return [`a machine, ${phase}`, of, 'Degraded'] as const;
  }),
  ['a machine that is done', seen(machine(running(done))), 'Healthy'],
  ['a machine that is done, and off', seen(machine(running({ ...done, connection: OFFLINE }))), 'Healthy'],
  ['a machine with a failed unit', seen(machine(running({ ...done, failedUnits: ['a.service'] }))), 'Degraded'],
  ['a machine that is off and waits', seen(machine(running({ desired: desired(), connection: OFFLINE }))), 'Suspended'],
];

describe('Argo CD', () => {
  test.each(CASES)('%s', async (_, object, expected) => {
    const script = argo[`resource.customizations.health.floe.dev_${object.kind}`] ?? '';
    const health = await runLua(script, { obj: object });
    expect(health['status'], String(health['message'])).toBe(expected);
    expect(health['message']).toBeTypeOf('string');
    if (expected === 'Degraded') expect(health['message']).not.toBe('');
  });

  test('every phase of a Rollout is among them', () => {
    const phases = CASES.flatMap(([, { kind, ...of }]) => (kind === 'Rollout' ? [(of as Rollout).status?.phase] : []));
    expect(new Set(phases)).toEqual(new Set(ROLLOUT_PHASES));
  });

  const buttons = async (object: KubeObject) => {
    const text = argo[`resource.customizations.actions.floe.dev_${object.kind}`] ?? '';
    type Actions = { 'discovery.lua': string; definitions: { name: string; 'action.lua': string }[] };
    const { 'discovery.lua': discovery, definitions } = parse(text) as Actions;
    const found = (await runLua(discovery, { obj: object })) as Record<string, { disabled: boolean }>;
    expect(Object.keys(found).toSorted()).toEqual(definitions.map(({ name }) => name).toSorted());
    const press = async (name: string) => {
      const lua = definitions.find((one) => one.name === name)?.['action.lua'] ?? '';
      return ((await runLua(lua, { obj: object })) as unknown as KubeObject).metadata.annotations ?? {};
    };
    return { enabled: Object.keys(found).filter((name) => found[name]?.disabled === false), press };
  };

  test('the button approves the step that a person sees, where one is waited for', async () => {
    const waiting = await buttons(rollout('Paused'));
    expect(waiting.enabled).toContain('approve');
    expect(await waiting.press('approve')).toEqual({ 'floe.dev/approve': 'r-1.2' });
    expect((await buttons(rollout('Paused', { suspend: true }))).enabled).not.toContain('approve');
    expect((await buttons(rollout('Completed'))).enabled).toEqual(['reconcile']);
  });

  test.each(['retry', 'continue', 'promote', 'urgent', 'abort', 'rollback', 'reconcile'])(
    'the button %s writes the annotation of the verb',
    async (verb) => {
      const { [`floe.dev/${verb}`]: value } = await (await buttons(rollout('Progressing'))).press(verb);
      expect(value).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    },
  );

  test('a config has the one button', async () => {
    const { enabled, press } = await buttons(config('idle', 'True'));
    expect(enabled).toEqual(['reconcile']);
    expect(Object.keys(await press('reconcile'))).toEqual(['floe.dev/reconcile']);
  });

  test('a table for Lua keeps every kind of value', async () => {
    const value = { a: [1, 'x"\n\\', true, { b: 'c' }], d: {}, 'e.f/g': -1 };
    expect(await runLua('return obj', { obj: value })).toEqual({ ...value, d: [] });
    expect(luaTable(null)).toBe('nil');
  });
});

describe('in a real API server', () => {
  const { signal } = new AbortController();
  let api: RealApiServer;
  let client: KubeClient;
  const key = { namespace: 'fleet', name: 'web-02' };
  const git = (spec: object): NixMachine =>
    ({ apiVersion: 'floe.dev/v1alpha1', kind: 'NixMachine', metadata: key, spec }) as NixMachine;
  const sync = (of: NixMachine) =>
    client.apply(nixMachines, of, { fieldManager: 'kustomize-controller', force: true, signal });
  const live = () => client.get(nixMachines, key, { signal });
  const SSH = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQRwP8Ib2lOVqGZ0oFNzAyf9CknLQmfvpyXu9JzPjxA';

  beforeAll(async () => {
    api = await RealApiServer.start();
    client = api.client();
    await installKinds(['fleet'], { client, signal });
  });
  afterAll(() => api?.close());

  const install = async (...args: string[]) => {
    const helm = join(kubectl, '../helm');
    const chart = join(projectDir, 'charts/floe');
    const env = { KUBECONFIG: await api.kubeconfig() };
    const command = [helm, 'install', 'floe', chart, '-n', 'fleet', '--dry-run=server', ...args];
    return tryRun(command, { env, timeoutSeconds: 300 });
  };

  test('the chart says both ways on where the kinds were applied without it', async () => {
    const { code, stderr } = await install();
    expect(code).not.toBe(0);
    for (const words of ['--set crds.install=false', 'meta.helm.sh/release-name=floe', '--force-conflicts']) {
      expect(stderr).toContain(words);
    }
  });

  test.each<[string[], string]>([
    [
      ['--set', 'cache.persistence.size=300Gi'],
      'cache.persistence.size: the claim fleet/floe-cache has 200Gi, and its class',
    ],
    [['--set', 'cache.persistence.size=100Gi'], "can't shrink"],
    [
      ['--set', 'cache.persistence.size=200Gi,cache.persistence.storageClassName=fast'],
      'cache.persistence.storageClassName',
    ],
  ])('a claim that can not be changed is named before anything is applied: %j', async (values, words) => {
    const claims: Resource = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      plural: 'persistentvolumeclaims',
      namespaced: true,
    };
    const claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'floe-cache', namespace: 'fleet' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '200Gi' } } },
    };
    await client.apply(claims, claim, { fieldManager: 'helm', signal });
    expect((await install('--set', 'crds.install=false', ...values)).stderr).toContain(words);
  });

  test('what a person wrote into fields that git does not name stays', async () => {
    await sync(git({ configRef: { name: 'web' } }));
    const byHand = {
      metadata: { annotations: { 'floe.dev/retry': 'x' } },
      spec: { identity: { sshHostKey: SSH }, hold: { reason: 'disk' } },
    };
    await client.mergePatch(nixMachines, key, byHand, { fieldManager: 'kubectl-floe', signal });
    await client.mergePatch(
      nixMachines,
      key,
      { status: { observedGeneration: 2 } },
      { fieldManager: 'floe', subresource: 'status', signal },
    );
    await sync(git({ configRef: { name: 'web2' } }));
    expect(await live()).toMatchObject({
      metadata: { annotations: { 'floe.dev/retry': 'x' } },
      spec: { configRef: { name: 'web2' }, identity: { sshHostKey: SSH }, hold: { reason: 'disk' } },
      status: { observedGeneration: 2 },
    });
  });

  test('what git names goes back to what git says, and without force both are told', async () => {
    await sync(git({ configRef: { name: 'web' }, hold: { reason: 'git' } }));
    await client.mergePatch(
      nixMachines,
      key,
      { spec: { hold: { reason: 'hand' } } },
      { fieldManager: 'kubectl-floe', signal },
    );
    const asked = client.apply(nixMachines, git({ configRef: { name: 'web' }, hold: { reason: 'git' } }), {
      fieldManager: 'kustomize-controller',
      force: false,
      signal,
    });
    await expect(asked).rejects.toThrow(/conflict.*kubectl-floe/s);
    await sync(git({ configRef: { name: 'web' }, hold: { reason: 'git' } }));
    expect((await live()).spec.hold?.reason).toBe('git');
    // No longer in git, but a person wrote it, too: it stays until both have let go of it.
    await sync(git({ configRef: { name: 'web' } }));
    expect((await live()).spec.hold?.reason).toBe('git');
    await client.mergePatch(nixMachines, key, { spec: { hold: null } }, { fieldManager: 'kubectl-floe', signal });
    expect((await live()).spec.hold).toBeUndefined();
  });
});

test('the examples of Flux name what is there, and do not wait for everything', async () => {
  const text = await readFile(join(EXAMPLES, 'flux/fleet.yaml'), 'utf8');
  const [, kustomization] = parseAllDocuments(text).map((document) => document.toJS());
  expect(kustomization.spec).toMatchObject({ wait: false, prune: false });
  const fleet = await run([kubectl, 'kustomize', join(EXAMPLES, 'fleet')]);
  const names = parseAllDocuments(fleet).map((document) => {
    const { kind, metadata } = document.toJS() as KubeObject;
    return `${kind} ${metadata.namespace}/${metadata.name}`;
  });
  for (const { kind, namespace, name } of kustomization.spec.healthChecks) {
    expect(names).toContain(`${kind} ${namespace}/${name}`);
  }
});
