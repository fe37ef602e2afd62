// `floe machine`: the reason, the place in the queue, and the page.
import { createHash } from 'node:crypto';
import { APPROVE_KEY, keyFingerprint } from '@floe/crds/join-token';
import type { NixMachineSpec, NixMachineStatus } from '@floe/crds/nix-machine';
import { controllerRevisions, nixConfigs, nixMachines, rollouts } from '@floe/operator/kube/resource';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { machineCommand } from './machine-command.ts';
import { ordinal } from './machine-text.ts';

const NOW = '2036-03-01T14:05:00Z';
const REVISION = '3f9c2ab41c07';
const OLD = '91b4e0d5523f';
const path = (name: string) => `/nix/store/00000000000000000000000000000000-${name}`;
const head = (kind: string, name: string) => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind,
  metadata: { name, namespace: 'shop', creationTimestamp: '2036-01-01T00:00:00Z' },
});

let api: FakeApiServer;

beforeAll(async () => {
  api = await FakeApiServer.start();
  for (const [name, delivery] of [
    ['web', 'Rollout'],
    ['home', 'Immediate'],
    ['lab', 'Rollout'],
  ] as const) {
    api.seed(nixConfigs, {
      ...head('NixConfig', name),
      spec: { source: { flake: 'x' }, delivery },
      status: { revision: { id: REVISION, source: 'main', builtAt: NOW } },
    });
  }
  api.seed(rollouts, {
    ...head('Rollout', 'web'),
    spec: { configRef: { name: 'web' }, maxUnavailable: 1, steps: [{ batch: { size: 1 } }, { pause: {} }] },
    status: { stableRevision: OLD },
  });
  const current = { current: { closure: path('old'), revision: OLD } };
  const machine = (name: string, status: NixMachineStatus, spec: Partial<NixMachineSpec> = {}) =>
    api.seed(nixMachines, {
      ...head('NixMachine', name),
      spec: { configRef: { name: 'web' }, ...spec },
      status: { connection: { online: true, since: '2036-03-01T11:05:00Z' }, ...current, ...status },
    });
  for (const name of ['m1', 'm2', 'm3', 'm4']) machine(name, {});
  machine('off', { connection: { online: false, since: '2036-02-27T14:05:00Z' } });
  machine('held', {}, { hold: { reason: 'new disk' } });
  machine('home', {}, { configRef: { name: 'home' } });
  machine('lab', {}, { configRef: { name: 'lab' } });
  machine('lost', {}, { configRef: { name: 'gone' } });
  const names = ['m1', 'm2', 'm3', 'm4', 'off', 'held'];
  api.seed(controllerRevisions, {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'web-r', namespace: 'shop' },
    revision: 1,
    data: {
      config: 'web',
      revision: REVISION,
      source: 'main',
      builtAt: NOW,
      part: 0,
      parts: 1,
      job: 'web-r',
      machines: Object.fromEntries(names.map((name) => [name, path(`new-${name}`)])),
      failures: {},
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
    },
  });
});
afterAll(() => api.close());

const run = (...argv: string[]) =>
  machineCommand([...argv, '-n', 'shop'], {
    connect: async () => Object.assign(api.client(), { close: async () => undefined }),
    now: () => new Date(NOW),
    signal: AbortSignal.timeout(20_000),
  });

test('each machine has its reason; those that wait for their turn have their place', async () => {
  const seen = await Promise.all(['m1', 'm2', 'm3', 'm4'].map(async (name) => JSON.parse(await run(name, '--json'))));
  const first = seen.filter(({ why }) => why === null);
  const queued = seen.filter(({ why }) => why?.reason === 'LaterStep');
  expect([first.length, queued.length]).toEqual([1, 3]);
  expect(queued.map(({ queue }) => queue.place).sort()).toEqual([1, 2, 3]);
  expect(queued[0].queue).toMatchObject({ of: 3, step: '3 the rest', approved: true });
});

test.each([
  ['off', { reason: 'Offline', message: 'offline, follows on return' }],
  ['held', { reason: 'MachineSuspended', message: 'on hold until spec.hold is removed: new disk' }],
  ['home', null],
  ['lab', { reason: 'NoRollout', message: 'no Rollout of NixConfig lab selects it; nobody moves it' }],
  ['lost', { reason: 'ConfigNotFound', message: 'there is no NixConfig gone; create it' }],
])('the reason of its own: %s', async (name, why) => {
  expect(JSON.parse(await run(`machine/${name}`, '-o', 'json'))).toMatchObject({ why, queue: null });
});

test('the page', async () => {
  const closure = path('new-m5');
  api.seed(nixMachines, {
    ...head('NixMachine', 'm5'),
    metadata: { ...head('NixMachine', 'm5').metadata, labels: { 'topology.kubernetes.io/zone': 'a' } },
    spec: { configRef: { name: 'lab' } },
    status: {
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'X',
          message: 'rolled back',
          lastTransitionTime: '2036-03-01T14:00:00Z',
        },
      ],
      desired: {
        id: 'd',
        sequence: 1,
        revision: REVISION,
        closure,
        rollout: 'lab',
        reason: 'Rollout',
        go: true,
        since: '2036-03-01T13:00:00Z',
      },
      current: { closure: path('old'), revision: OLD },
      bootDefault: { closure: path('old'), revision: OLD, verified: false },
      attempt: {
        desiredId: 'd',
        revision: REVISION,
        to: closure,
        phase: 'RolledBack',
        exitCode: 4,
        failedUnits: ['a.service'],
        startedAt: '2036-03-01T13:00:00Z',
        finishedAt: '2036-03-01T13:00:30Z',
      },
      knownBad: [closure],
      connection: { online: true, since: '2036-03-01T11:05:00Z', replica: 'floe-0' },
      agent: { version: '0.1.0' },
      reboot: { required: true, reasons: ['kernel'] },
    },
  });
  expect(await run('m5')).toBe(`\
Machine m5   config lab   no rollout   zone a
rolled back (5m)
has not moved: NoRollout, no Rollout of NixConfig lab selects it; nobody moves it

desired        3f9c2ab   ${closure}   Rollout by rollout lab, 65m ago
current        91b4e0d   ${path('old')}
booted         -         not known
boot default   91b4e0d   ${path('old')}      concluded, not read from the boot loader

attempt      3f9c2ab RolledBack, took 30 s, exit 4, a.service failed, 64m ago
known bad    ${closure}
connection   online for 3h on floe-0, agent 0.1.0
reboot       required: kernel`);
});

test.each([
  [
    {
      exitCode: 4,
      failedUnits: ['fails.service'],
      message: `fails.service failed (exit code 1). The machine is back on ${path('old')}.`,
    },
    'took 30 s, exit 4, fails.service failed (exit code 1), rolled back to 91b4e0d, 64m ago',
  ],
  [
    { exitCode: 2, message: 'The activation script failed (exit code 2: no room). Nothing was changed.' },
    'took 30 s, The activation script failed (exit code 2: no room). Nothing was changed, 64m ago',
  ],
  [
    { exitCode: 4, failedUnits: ['a.service', 'b.service'], message: 'a.service failed.' },
    'took 30 s, exit 4, b.service failed, a.service failed, 64m ago',
  ],
])('an attempt says everything once: %j', async (told, says) => {
  // The API of the test keeps what it had of a name.
  const name = `m-${createHash('sha256').update(says).digest('hex').slice(0, 8)}`;
  api.seed(nixMachines, {
    ...head('NixMachine', name),
    spec: { configRef: { name: 'lab' } },
    status: {
      current: { closure: path('old'), revision: OLD },
      attempt: {
        desiredId: 'd',
        revision: REVISION,
        to: path('new-m6'),
        phase: 'RolledBack',
        startedAt: '2036-03-01T13:00:00Z',
        finishedAt: '2036-03-01T13:00:30Z',
        ...told,
      },
    },
  });
  expect(await run(name)).toContain(`attempt      3f9c2ab RolledBack, ${says}\n`);
});

const KEY = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString('base64')}`;
const FINGERPRINT = keyFingerprint(KEY.split(' ')[1] ?? '');

test.each([
  [
    'one that asks to join',
    {},
    ['connection    never connected', `pending key   ${FINGERPRINT}: kubectl floe approve machine/new -n shop`],
  ],
  [
    'one whose key an annotation approves',
    { [APPROVE_KEY]: FINGERPRINT },
    ['connection   never connected: start floe-agent on it'],
  ],
])('the connection of %s', async (_, annotations, lines) => {
  const { metadata, ...rest } = head('NixMachine', 'new');
  api.seed(nixMachines, {
    ...rest,
    metadata: { ...metadata, annotations },
    spec: { configRef: { name: 'lab' } },
    status: { pendingKey: { fingerprint: FINGERPRINT, publicKey: KEY, since: NOW } },
  });
  expect((await run('new')).split('\n')).toEqual(expect.arrayContaining(lines));
  expect((await run('new')).includes('floe approve')).toBe(lines.length === 2);
});

test.each([
  [true, 'online since some time of 2036-02-28'],
  [false, 'offline since some time of 2036-02-28'],
])('where only the day is kept nothing else is said: online %s', async (online, says) => {
  api.seed(nixMachines, {
    ...head('NixMachine', 'shy'),
    spec: { configRef: { name: 'lab' }, presence: 'Coarse' },
    status: { connection: { online, since: '2036-02-28T00:00:00Z' } },
  });
  expect(await run('shy')).toContain(says);
});

test.each([
  [1, '1st'],
  [2, '2nd'],
  [3, '3rd'],
  [4, '4th'],
  [11, '11th'],
  [12, '12th'],
  [21, '21st'],
  [113, '113th'],
])('%i is the %s', (number, word) => {
  expect(ordinal(number)).toBe(word);
});

test('wrong input', async () => {
  await expect(run('m9')).rejects.toMatchObject({ field: 'NAME' });
  await expect(run()).rejects.toMatchObject({ field: 'NAME' });
});
