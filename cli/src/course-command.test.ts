// `floe plan --course`: the table, its JSON, and wrong input.
import { expect, test } from 'vitest';
import { courseCommand } from './course-command.ts';
import { InputError } from './input-error.ts';

const meta = (name: string, more: object = {}) => ({ name, namespace: 'shop', ...more });
const rollout = {
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'Rollout',
  metadata: meta('web'),
  spec: {
    configRef: { name: 'web' },
    maxUnavailable: 2,
    steps: [
      { batch: { size: 1, soak: '10m' } },
      { batch: { size: '50%' } },
      { pause: {} },
      { batch: { size: '100%' } },
    ],
  },
  status: { stableRevision: '111111111111' },
};
const config = {
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixConfig',
  metadata: meta('web'),
  spec: { source: { flake: 'github:acme/fleet' } },
  status: { revision: { id: '3f9c2ab41c07', source: 'main', builtAt: '2026-03-01T11:00:00Z' } },
};
const machine = (name: string, online = true) => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixMachine',
  metadata: meta(name, { labels: { 'topology.kubernetes.io/zone': 'a' } }),
  spec: { configRef: { name: 'web' } },
  status: {
    connection: { online, since: '2026-03-01T10:00:00Z' },
    current: { closure: `111111111111/${name}`, revision: '111111111111' },
  },
});
const objects = [rollout, config, ...['m1', 'm2', 'm3', 'm4', 'm5', 'm6'].map((name) => machine(name, name !== 'm6'))];

const courseOver = (input: object, ...argv: string[]) =>
  courseCommand(['-f', '-', '--course', '--now', '2026-03-01T14:00:00Z', ...argv], {
    read: () => Promise.resolve(JSON.stringify(input)),
    now: new Date(),
  });
const run = (...argv: string[]) => courseOver(objects, ...argv);

/** The same objects, with one machine on hold for two days. */
const holding = (name: string) =>
  objects.map((object) =>
    object.metadata.name === name
      ? { ...object, spec: { ...object.spec, hold: { reason: 'new disk', until: '2026-03-03T14:00:00Z' } } }
      : object,
  );

test('the table says who moves when, what it waits for, and how it ends', async () => {
  expect(await run()).toBe(`\
Rollout web   3f9c2ab   from 1111111   started 14:00 UTC
STEP                   FROM        MACHINES   THEN IT WAITS FOR
1 batch of 1           14:00 UTC   1 switch   batch of 1: 1 soaks until 14:12 UTC
2 batch of 50 %        14:12 UTC   2 switch
3 pause for approval   14:14 UTC   -          waiting for approval: kubectl floe approve web -n shop

waits from 14:14 UTC on: waiting for approval: kubectl floe approve web -n shop
without it at the end: m3, m1: StepPaused, waiting for approval: kubectl floe approve web -n shop
without it at the end: m6: Offline, offline, follows on return
a machine takes 2 min from its go (assumed, no batch is known yet), comes up healthy, and stays online or offline as it is`);
});

test.each(['m1', 'm3'])('the hold of %s outlasts the pause, and does not move it', async (held) => {
  const text = await courseOver(holding(held));
  expect(text).toMatch(/^3 pause for approval {3}14:14 UTC/m);
  expect(text).toContain('waits from 14:14 UTC on');
});

test('taken as approved, a pause is left at once, whatever hold goes on', async () => {
  const { waves } = JSON.parse(await courseOver(holding('m1'), '--json', '--approved'));
  expect(waves.find(({ step }: { step: number }) => step === 3)?.at).toMatch(/^2026-03-01T14:14:/);
});

test('JSON has the waves and the end', async () => {
  const course = JSON.parse(await run('--json', '--approved'));
  expect(Object.keys(course)).toEqual(['rollout', 'revision', 'waves', 'end', 'left', 'assumed']);
  expect(course).toMatchObject({ rollout: 'web', revision: '3f9c2ab41c07' });
  expect(course.waves[0]).toEqual({
    at: '2026-03-01T14:00:00Z',
    step: 0,
    phase: 'Progressing',
    dispatch: [{ machine: expect.any(String), closure: expect.stringMatching(/^3f9c2ab41c07\/m/) }],
    fetch: [],
    rollback: [],
  });
  const gone = course.waves.flatMap(({ dispatch }: { dispatch: unknown[] }) => dispatch).length;
  expect([gone, course.left.length, course.end.phase]).toEqual([5, 1, 'Progressing']);
  expect(course.end.waitsFor).toContain('m6 waits to come back online');
  expect(JSON.parse(await run('-o', 'json')).end).toMatchObject({
    phase: 'Paused',
    waitsFor: expect.stringContaining('approve web'),
  });
});

test('machine by machine', async () => {
  const text = await run('--machines', '--approved');
  expect(text.match(/^ {2}14:\d\d UTC {2}switch {2}m\d/gm)?.length).toBeGreaterThanOrEqual(3);
  for (const name of ['m1', 'm2', 'm3', 'm4', 'm5']) expect(text).toMatch(new RegExp(`switch .*\\b${name}\\b`));
});

test.each([
  [['-o', 'yaml'], '--output'],
  [['--rollout', 'db'], '--rollout'],
  [['more'], 'more'],
])('wrong input: %j', async (argv, field) => {
  const failure = await run(...argv).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InputError);
  expect((failure as InputError).field).toBe(field);
});
