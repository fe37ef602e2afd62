// What a person at kubectl sees and relies on: columns, waits, explanations, and a revision that changes nothing.
import { courseCommand } from '@floe/cli/course-command';
import { beforeAll, describe, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { condition, readFleet, waitForFleet } from '../src/observe.ts';
import { calm, freshMarker, jobsAreGone, marked, publishBuilt, waitDone } from '../src/scene.ts';

describe('at kubectl', () => {
  let floe: Installation;
  let revision = '';

  beforeAll(async () => {
    floe = await laneInstallation();
    revision = await calm(floe);
  });

  test.each([
    ['nc', ['NAME', 'REVISION', 'SOURCE', 'MACHINES', 'READY', 'STATUS', 'SINCE', 'AGE']],
    ['nm', ['NAME', 'CONFIG', 'CURRENT', 'DESIRED', 'ONLINE', 'READY', 'STATUS', 'SINCE', 'AGE']],
    ['nro', ['NAME', 'REVISION', 'PHASE', 'STEP', 'UPDATED', 'FAILED', 'STATUS', 'SINCE', 'AGE']],
  ])('kubectl get %s has its columns and a row that says what is', async (kind, columns) => {
    const [header = '', row = ''] = (await floe.kubectl('get', kind)).split('\n');
    expect(header.trim().split(/\s+/)).toEqual(columns);
    expect(row).toContain(revision);
    expect(row).toMatch(/up to date|built in \d+ s, 5 closures, \d/);
  });

  test('kubectl get floe lists all three kinds', async () => {
    const names = (await floe.kubectl('get', 'floe', '-o', 'name')).trim().split('\n');
    expect(names).toHaveLength(7);
  });

  test.each(['nixconfig/fleet', 'nixmachine/m1', 'rollout.floe.dev/fleet'])(
    'kubectl wait works on %s',
    async (name) => {
      const said = await floe.kubectl('wait', '--for=condition=Ready', '--timeout=20s', name);
      expect(said).toContain('condition met');
    },
  );

  test.each(['nixconfig', 'nixmachine', 'rollout'])(
    'kubectl explain %s has a sentence for each field',
    async (kind) => {
      const text = await floe.kubectl('explain', '--recursive=false', `${kind}.spec`);
      expect(text).not.toContain('<no description>');
      const fields = text.match(/^ {2,3}\S+\t+<.*>/gm) ?? [];
      expect(fields.length).toBeGreaterThan(3);
    },
  );

  test('floe plan --course reads what kubectl prints: the run has ended, and everybody has it', async () => {
    const kinds = 'rollouts.floe.dev,nixconfigs,nixmachines,controllerrevisions';
    const objects = await floe.kubectl('get', kinds, '-o', 'json');
    const ports = { read: async () => objects, now: new Date() };
    const course = JSON.parse(await courseCommand(['-f', '-', '--course', '--json', '--rollout', 'fleet'], ports));
    expect(course).toMatchObject({ revision, waves: [], left: [], end: { phase: 'Completed' } });
  });

  test('every status was computed from the present spec', async () => {
    const { configs, machines, rollouts } = await readFleet(floe);
    for (const object of [...configs, ...machines, ...rollouts]) {
      expect(object.status?.observedGeneration, object.metadata.name).toBe(object.metadata.generation);
      expect(condition(object, 'Ready')?.status, object.metadata.name).toBe('True');
    }
  });

  /** How often each machine has started a switch, from its own journal. */
  const switches = (): Promise<string[]> =>
    Promise.all(
      floe.machineNames.map(async (name) =>
        (await floe.machine(name)).sh("journalctl --no-pager -o cat | grep -c 'Started floe-switch' || true"),
      ),
    );

  test('a revision that changes nothing builds nothing and moves nobody', async () => {
    const marker = freshMarker();
    const before = await publishBuilt(floe, {}, marked(marker));
    const settled = await waitDone(floe, before);
    const switchesBefore = await switches();
    expect(
      switchesBefore.every((count) => Number(count) > 0),
      switchesBefore.join(),
    ).toBe(true);
    // Another commit, the same systems.
    const after = await publishBuilt(floe, {}, `${marked(marker)} # only a comment`);
    expect(after).not.toBe(before);
    const records = JSON.parse(
      await floe.kubectl('get', 'controllerrevisions', '-l', `floe.dev/revision=${after}`, '-o', 'json'),
    ) as { items: { data: { summary: { builtDerivations: number } } }[] };
    expect(records.items.map((item) => item.data.summary.builtDerivations)).toEqual([0]);
    // Whoever runs the closure has the revision, and says so.
    const fleet = await waitDone(floe, after);
    const closures = (seen: typeof fleet) => seen.machines.map((machine) => machine.status?.current?.closure);
    expect(closures(fleet)).toEqual(closures(settled));
    expect(await switches()).toEqual(switchesBefore);
  });

  test('asking again for what is built already starts no Job', async () => {
    const jobs = async () =>
      (await floe.kubectl('get', 'events', '--field-selector', 'reason=BuildStarted', '-o', 'name')).trim().split('\n')
        .length;
    const before = await jobs();
    await floe.kubectl('annotate', 'nixconfig', 'fleet', '--overwrite', 'floe.dev/reconcile=now-please');
    await waitForFleet(
      floe,
      'the order to be handled',
      (seen) => seen.configs[0]?.status?.lastHandled?.['reconcile'] === 'now-please',
    );
    expect(await jobs()).toBe(before);
    await jobsAreGone(floe);
  });
});
