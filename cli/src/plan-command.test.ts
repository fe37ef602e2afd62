// `floe plan` from its input to what it prints.
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { InputError } from './input-error.ts';
import { planCommand } from './plan-command.ts';

const rollout = (name = 'web', spec: object = {}) => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'Rollout',
  metadata: { name, namespace: 'shop', creationTimestamp: null },
  spec: { configRef: { name: 'web' }, ...spec },
});
const config = {
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixConfig',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { source: { flake: 'github:acme/fleet' } },
  status: { revision: { id: 'r2', source: 'main', builtAt: '2026-03-01T11:00:00Z' } },
};
const machine = (name: string, status: object = {}) => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixMachine',
  metadata: { name, namespace: 'shop' },
  spec: { configRef: { name: 'web' } },
  status: {
    connection: { online: true, since: '2026-03-01T10:00:00Z' },
    current: { closure: `r1/${name}` },
    ...status,
  },
});
const list = (...items: object[]) => ({ apiVersion: 'v1', kind: 'List', items });
const objects = [rollout(), config, machine('m1'), machine('m2')];

const run = (text: string, ...argv: string[]) =>
  planCommand(['-f', '-', '--now', '2026-03-01T12:00:00Z', ...argv], {
    read: () => Promise.resolve(text),
    now: new Date('2026-01-01T00:00:00Z'),
  });

test.each([
  ['a YAML stream', objects.map((object) => stringify(object)).join('---\n')],
  ['a YAML List', stringify(list(...objects))],
  ['a JSON List', JSON.stringify(list(...objects))],
  ['a JSON List, set wide', JSON.stringify(list(...objects), undefined, 2)],
  ['JSON values in a row', objects.map((object) => JSON.stringify(object, undefined, 1)).join('\n')],
  ['JSON lines', objects.map((object) => JSON.stringify(object)).join('\n')],
  ['a JSON array', JSON.stringify(objects)],
  ['JSON documents in a YAML stream', objects.map((object) => JSON.stringify(object)).join('\n---\n')],
  [
    'a list of a kind',
    [rollout(), config].map((object) => stringify(object)).join('---\n') +
      stringify(null) +
      '---\n' +
      stringify({
        apiVersion: 'floe.dev/v1alpha1',
        kind: 'NixMachineList',
        items: [machine('m1'), machine('m2')].map(({ kind: _, apiVersion: __, ...item }) => item),
      }),
  ],
  [
    'objects of other kinds among them',
    stringify(
      list(
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } },
        { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', metadata: { name: 'y' } },
        ...objects,
      ),
    ),
  ],
])('reads %s', async (_, text) => {
  const plan = await run(text.replace('null\n---', '---'));
  expect(plan).toMatchObject({
    rollout: 'web',
    phase: 'Progressing',
    step: { index: 0, total: 1 },
    budget: { limit: 1, unavailable: 0, free: 1 },
  });
  expect([plan.dispatch.length, plan.hold.length]).toEqual([1, 1]);
});

test('prints the fields that others rely on, and of orders machine and closure only', async () => {
  const plan = await run(JSON.stringify(objects));
  expect(Object.keys(plan)).toEqual([
    'rollout',
    'phase',
    'step',
    'dispatch',
    'fetch',
    'hold',
    'rollback',
    'adopt',
    'budget',
    'counts',
    'conditions',
    'nextCheck',
    'status',
  ]);
  const [order] = plan.dispatch;
  expect(order).toEqual({ machine: order?.machine, closure: `r2/${order?.machine}` });
});

test('the status that it prints can be fed in again, to the end of the run', async () => {
  let status: object = {};
  let machines = [machine('m1'), machine('m2'), machine('m3')];
  const phases: string[] = [];
  for (let minute = 0; minute < 8; minute++) {
    const now = `2026-03-01T12:0${minute}:00Z`;
    const input = JSON.stringify([
      { ...rollout('web', { steps: [{ batch: { size: 1 } }, { pause: { duration: '2m' } }] }), status },
      config,
      ...machines,
    ]);
    const plan = await planCommand(['-f', '-', `--now=${now}`], {
      read: () => Promise.resolve(input),
      now: new Date(),
    });
    phases.push(`${plan.phase} ${plan.dispatch.length}`);
    status = plan.status;
    const told = new Set(plan.dispatch.map((order) => order.machine));
    machines = machines.map((before) => {
      const { name } = before.metadata;
      if (!told.has(name)) return before;
      const desired = {
        id: `${name}-${minute}`,
        sequence: minute,
        revision: 'r2',
        closure: `r2/${name}`,
        rollout: 'web',
        reason: 'Rollout',
        go: true,
        since: now,
      };
      return machine(name, {
        desired,
        attempt: { desiredId: desired.id, to: desired.closure, phase: 'Committed', finishedAt: now },
        current: { closure: `r2/${name}` },
      });
    });
  }
  expect(phases).toEqual([
    'Progressing 1',
    'Paused 0',
    'Paused 0',
    'Progressing 1',
    'Progressing 1',
    'Completed 0',
    'Completed 0',
    'Completed 0',
  ]);
});

test.each<[string, string, string[], string]>([
  ['unparsable YAML', 'a: [1', [], 'standard input:1'],
  ['unparsable JSON', '{"kind": "Rollout"', [], 'standard input:1'],
  ['text', 'hello', [], 'standard input'],
  ['nothing', '', [], 'kind'],
  ['an object without kind', '{"a": 1}', [], 'kind'],
  ['no Rollout', JSON.stringify([config]), [], 'kind'],
  ['a Rollout that is not there', JSON.stringify(objects), ['--rollout', 'db'], '--rollout'],
  ['several Rollouts', JSON.stringify([...objects, rollout('db')]), [], '--rollout'],
  ['an object twice', JSON.stringify([...objects, machine('m1')]), [], 'NixMachine m1: metadata.name'],
  [
    'a machine without config',
    JSON.stringify([rollout(), config, { ...machine('m1'), spec: {} }]),
    [],
    'spec.configRef',
  ],
  [
    'a batch of nobody',
    JSON.stringify([rollout('web', { steps: [{ batch: { size: 1 } }, { batch: { size: '0%' } }] }), config]),
    [],
    'spec.steps[1].batch.size',
  ],
  ['a step of nothing', JSON.stringify([rollout('web', { steps: [{}] }), config]), [], 'spec.steps[0]'],
  [
    'a phase that is no text',
    JSON.stringify([rollout(), config, machine('m1', { attempt: { phase: 7 } })]),
    [],
    'status.attempt.phase',
  ],
  [
    'a time that is none',
    JSON.stringify([rollout(), config, machine('m1', { connection: { online: true, since: 'noon' } })]),
    [],
    'status.connection.since',
  ],
  [
    'a label that is a number',
    JSON.stringify([rollout(), config, { ...machine('m1'), metadata: { name: 'm1', labels: { a: 1 } } }]),
    [],
    'metadata.labels',
  ],
  ['a time without zone', JSON.stringify(objects), ['--now', '2026-03-01T12:00:00'], '--now'],
  ['a flag that is not known', JSON.stringify(objects), ['--nowish', 'x'], '--nowish'],
  ['a flag without value', JSON.stringify(objects), ['--rollout'], '--rollout'],
  ['an argument too many', JSON.stringify(objects), ['web'], 'web'],
  ['a flag of the course alone', JSON.stringify(objects), ['--machines'], '--machines'],
])('wrong input: %s', async (_, text, argv, field) => {
  const given = argv.includes('--now') ? ['-f', '-', ...argv] : ['-f', '-', '--now', '2026-03-01T12:00:00Z', ...argv];
  const failure = await planCommand(given, { read: () => Promise.resolve(text), now: new Date() }).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(InputError);
  const { error, field: where, remedy } = (failure as InputError).toJSON();
  expect(where).toContain(field);
  expect([error, remedy]).not.toContain('');
});

test('closures come from ControllerRevisions where there are any', async () => {
  const path = `/nix/store/00000000000000000000000000000000-nixos-system-m1`;
  const record = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'web-r2', namespace: 'shop' },
    revision: 1,
    data: {
      config: 'web',
      revision: 'r2',
      source: 'main',
      builtAt: '2026-03-01T11:00:00Z',
      part: 0,
      parts: 1,
      job: 'web-r2',
      machines: { m1: path },
      failures: { m2: { stage: 'Build', message: 'no such option' } },
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
    },
  };
  const daemonSet = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'ds', namespace: 'shop' },
    revision: 1,
    data: { spec: {} },
  };
  const plan = await run(JSON.stringify([...objects, record, daemonSet]));
  expect(plan.dispatch).toEqual([{ machine: 'm1', closure: path }]);
  expect(plan.hold).toEqual([{ machine: 'm2', reason: 'NotBuilt', message: 'no such option' }]);
});
