// `floe get rollout`: the page, the lines on a pipe, the redraw on a terminal, and how it ends.
import type { NixMachineStatus } from '@floe/crds/nix-machine';
import type { RolloutStatus } from '@floe/crds/rollout';
import { nixConfigs, nixMachines, rollouts } from '@floe/operator/kube/resource';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { NOT_SERVED } from '../../../e2e/fake-apiserver/faults.ts';
import { InputError } from '../input-error.ts';
import { getCommand } from './get-command.ts';

const NOW = '2026-03-01T14:05:00Z';
const REVISION = '3f9c2ab41c07';
let api: FakeApiServer;

const head = (kind: string, name: string) => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind,
  metadata: { name, namespace: 'shop' },
});

function rollout(status: RolloutStatus, message: string): void {
  const condition = { type: 'Ready', status: 'False' as const, reason: 'X', message, lastTransitionTime: NOW };
  api.seed(rollouts, {
    ...head('Rollout', 'web'),
    spec: {
      configRef: { name: 'web' },
      steps: [{ batch: { size: 1 } }, { batch: { size: '10%' } }, { pause: {} }],
    },
    status: { revision: REVISION, stableRevision: '91b4e0d5523f', run: 'r1', conditions: [condition], ...status },
  });
}

const counts = {
  total: 5,
  updated: 1,
  updating: 2,
  failed: 0,
  offline: 1,
  pending: 2,
  unavailable: 2,
  notBuilt: 0,
  pendingReboot: 0,
};
const step = (index: number) => ({ index, total: 4, column: `${index + 1}/4` });

beforeAll(async () => {
  api = await FakeApiServer.start();
  api.seed(nixConfigs, {
    ...head('NixConfig', 'web'),
    spec: { source: { flake: 'x' } },
    status: { revision: { id: REVISION, source: 'main@91ffe02', builtAt: NOW } },
  });
  const machine = (name: string, status: NixMachineStatus) =>
    api.seed(nixMachines, { ...head('NixMachine', name), spec: { configRef: { name: 'web' } }, status });
  const desired = {
    id: 'd',
    sequence: 1,
    revision: REVISION,
    closure: 'c',
    rollout: 'web',
    run: 'r1',
    reason: 'Rollout',
    go: true,
    since: NOW,
  };
  machine('m1', { desired, attempt: { desiredId: 'd', to: 'c', phase: 'Committed', finishedAt: NOW } });
  machine('m2', { desired, attempt: { desiredId: 'd', to: 'c', phase: 'Testing' } });
  machine('m3', { desired });
  machine('m4', {});
});
afterAll(() => api.close());

function world(more: { columns?: number } = {}) {
  let text = '';
  const ports = {
    connect: async () => Object.assign(api.client(), { close: async () => undefined }),
    now: () => new Date(NOW),
    signal: AbortSignal.timeout(20_000),
    write: (part: string) => {
      text += part;
    },
    columns: undefined,
    everyMs: 5,
    ...more,
  };
  return { run: (...argv: string[]) => getCommand([...argv, '-n', 'shop'], ports), text: () => text };
}

test('the page', async () => {
  const times = { startedAt: '2026-03-01T14:02:00Z', estimatedEnd: '2026-03-01T15:10:00Z' };
  const batch = { ...step(1), startedAt: '2026-03-01T14:04:00Z', toldBefore: 1, size: 4 };
  rollout({ phase: 'Progressing', step: batch, counts, ...times }, 'batch of 10 %: 2 updating');
  const { run, text } = world();
  expect(await run('rollout', 'web')).toBe(0);
  expect(text()).toBe(`\
Rollout web   3f9c2ab main@91ffe02   from 91b4e0d   Progressing   started 14:02 UTC, ends about 15:10 UTC
✔ 1 batch of 1
◌ 2 batch of 10 %        1/4   m2 Testing · m3 told
· 3 pause for approval
· 4 the rest
batch of 10 %: 2 updating
updated 1 of 5 · unavailable 2 · offline 1 · failed 0
`);
});

test('a cluster that does not know the kinds of Floe', async () => {
  api.faults.inject({ path: '/rollouts/' }, NOT_SERVED);
  await expect(world().run('rollout', 'web')).rejects.toMatchObject({
    name: 'InputError',
    message: 'this cluster does not know the kinds of Floe',
    remedy: expect.stringContaining('install it there'),
  });
});

test('an estimate that has passed says so; JSON has the same facts', async () => {
  rollout({ phase: 'Progressing', step: step(1), counts, estimatedEnd: '2026-03-01T14:00:00Z' }, 'x');
  const { run, text } = world();
  await run('rollout/web');
  expect(text()).toContain('was to end about 14:00 UTC');
  const json = world();
  await json.run('nro', 'web', '-o', 'json');
  expect(JSON.parse(json.text())).toMatchObject({
    rollout: 'web',
    phase: 'Progressing',
    revision: REVISION,
    steps: [{ state: 'done' }, { state: 'now' }, { state: 'later' }, { state: 'later' }],
    inHand: [
      { machine: 'm2', phase: 'Testing' },
      { machine: 'm3', phase: 'told' },
    ],
  });
});

test.each([
  ['Completed', 0],
  ['Failed', 1],
] as const)('watching on a pipe: a line for each change, until the run is %s', async (phase, code) => {
  rollout({ phase: 'Progressing', step: step(0), counts }, 'batch of 1: 1 updating');
  const { run, text } = world();
  const ended = run('rollout', 'web', '--watch');
  await expect.poll(text).toContain('1 updating');
  rollout({ phase: 'Paused', step: step(2), counts }, 'waiting for approval');
  await expect.poll(text).toContain('approval');
  rollout({ phase, step: step(3), counts: { ...counts, updated: 5 } }, 'the end');
  expect(await ended).toBe(code);
  expect(text().split('\n')).toEqual([
    `${NOW} web 3f9c2ab Progressing step 1/4 updated 1/5 failed 0: batch of 1: 1 updating`,
    `${NOW} web 3f9c2ab Paused step 3/4 updated 1/5 failed 0: waiting for approval`,
    `${NOW} web 3f9c2ab ${phase} step 4/4 updated 5/5 failed 0: the end`,
    '',
  ]);
});

test('watching on a terminal draws over the page before', async () => {
  rollout({ phase: 'Progressing', step: step(0), counts }, 'first');
  const { run, text } = world({ columns: 50 });
  const ended = run('rollout', 'web', '-w');
  await expect.poll(text).toContain('first');
  rollout({ phase: 'Completed', step: step(3), counts }, 'last');
  expect(await ended).toBe(0);
  expect(text()).toContain('\n\u001b[7A\u001b[JRollout web');
  expect(
    text()
      .split('\n')
      .every((line) => line.length <= 60),
  ).toBe(true);
});

test.each([
  ['nothing', []],
  ['a machine', ['machine', 'm1']],
  ['no name', ['rollout']],
  ['two names', ['rollout', 'web', 'db']],
  ['one that is not there', ['rollout', 'db']],
])('wrong input: %s', async (_, argv) => {
  const failure = await world()
    .run(...argv)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InputError);
  expect((failure as InputError).field).toBe('NAME');
});
