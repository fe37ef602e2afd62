// Machines whose closure can't be evaluated or built: the others get theirs, and everyone reads why.
import { beforeAll, describe, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { condition, type Fleet, waitForFleet } from '../src/observe.ts';
import { calm, freshMarker, marked, publish, waitDone } from '../src/scene.ts';

const SEVERAL = {
  m2: '{ services.nginx.enabel = true; }',
  m3: '{ test.evaluationError = "the disk layout of m3 is missing"; }',
  m4: '{ test.buildFails = true; }',
};

let floe: Installation;
let before: Fleet;

beforeAll(async () => {
  floe = await laneInstallation();
  before = await waitDone(floe, await calm(floe));
});

function closures(fleet: Fleet): Record<string, string | undefined> {
  return Object.fromEntries(fleet.machines.map(({ metadata, status }) => [metadata.name, status?.current?.closure]));
}

/** Publishes, and waits until the Rollout is done with whoever has a closure. */
async function publishIncomplete(modules: Readonly<Record<string, string>>): Promise<Fleet> {
  const commit = await publish(floe, modules, marked(freshMarker()));
  return waitForFleet(
    floe,
    `the Rollout to be done with ${commit.slice(0, 7)}, but for ${Object.keys(modules).join(', ')}`,
    ({ configs, rollouts }) => {
      const { revision } = configs[0]?.status ?? {};
      const { status } = rollouts[0] ?? {};
      return (
        revision?.source.endsWith(commit.slice(0, 7)) === true &&
        status?.revision === revision.id &&
        status.phase === 'Completed'
      );
    },
    { timeoutSeconds: 180 },
  );
}

/** Who runs the newest revision, by the machines' own word. */
async function movedTo(fleet: Fleet): Promise<string[]> {
  const revision = fleet.configs[0]?.status?.revision?.id;
  const moved: string[] = [];
  for (const { metadata, status } of fleet.machines) {
    const { current } = await (await floe.machine(metadata.name)).closures();
    expect(status?.current?.closure, metadata.name).toBe(current);
    if (status?.current?.revision === revision) moved.push(metadata.name);
  }
  return moved;
}

describe('one machine of five cannot be evaluated', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await publishIncomplete({ m3: '{ test.evaluationError = "the disk layout of m3 is missing"; }' });
  });

  test('the four others are built and moved', async () => {
    expect(await movedTo(fleet)).toEqual(['m1', 'm2', 'm4', 'm5']);
    expect(fleet.configs[0]?.status?.machines).toEqual({ total: 5, built: 4, failed: 1, ready: '4/5' });
  });

  test('the NixConfig says which machine, and why', () => {
    expect(condition(fleet.configs[0], 'Ready')).toMatchObject({
      status: 'False',
      reason: 'EvaluationFailed',
      message: expect.stringMatching(/^m3: the disk layout of m3 is missing/),
    });
    expect(condition(fleet.configs[0], 'Stalled')?.status).toBe('True');
    expect(fleet.configs[0]?.status?.failures).toEqual([
      { machine: 'm3', stage: 'Evaluation', message: expect.stringContaining('the disk layout of m3 is missing') },
    ]);
  });

  test('the Rollout ends completed, and says who is left out', () => {
    expect(condition(fleet.rollouts[0], 'Incomplete')).toMatchObject({ status: 'True', reason: 'NotBuilt' });
    expect(condition(fleet.rollouts[0], 'Incomplete')?.message).toContain('m3');
    expect(fleet.rollouts[0]?.status?.counts).toMatchObject({ total: 5, updated: 4, failed: 0, notBuilt: 1 });
  });

  test('the machine itself keeps what it runs, and says what it waits for', async () => {
    const m3 = fleet.machines.find(({ metadata }) => metadata.name === 'm3');
    expect(m3?.status?.current?.closure).toBe(closures(before)['m3']);
    const said = await waitForFleet(floe, 'm3 to say why it does not move', ({ machines }) =>
      machines.some(({ metadata, status }) => metadata.name === 'm3' && status?.waiting?.reason === 'NotBuilt'),
    );
    const { waiting } = said.machines.find(({ metadata }) => metadata.name === 'm3')?.status ?? {};
    expect(waiting?.message).toContain('the disk layout of m3 is missing');
  });
});

describe('three machines fail in one build, each in a way of its own', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await publishIncomplete(SEVERAL);
  });

  test('the two others are built and moved', async () => {
    expect(await movedTo(fleet)).toEqual(['m1', 'm5']);
    expect(fleet.rollouts[0]?.status?.counts).toMatchObject({ total: 5, updated: 2, notBuilt: 3 });
    expect(condition(fleet.rollouts[0], 'Incomplete')?.message).toMatch(/m2, m3 and m4|m2, m3, m4/);
  });

  test('each failure stands under its machine: option, file and guess; text; last words of the build', () => {
    const failures = fleet.configs[0]?.status?.failures ?? [];
    expect(failures.map(({ machine, stage }) => [machine, stage])).toEqual([
      ['m2', 'Evaluation'],
      ['m3', 'Evaluation'],
      ['m4', 'Build'],
    ]);
    const [misspelt, thrown, build] = failures.map(({ message }) => message);
    expect(misspelt).toBe(
      'the option services.nginx.enabel does not exist, did you mean services.nginx.enable? (machines/m2.nix)',
    );
    expect(thrown).toContain('the disk layout of m3 is missing');
    expect(build).toContain('hello.c:12: undefined reference to greet');
    expect(build).toContain('nixos-system-m4');
    expect(failures.map(({ message }) => message).join()).not.toContain('/nix/store');
  });

  test('the condition names the first, and how many more there are', () => {
    const { message = '', reason } = condition(fleet.configs[0], 'Ready') ?? {};
    expect(reason).toBe('BuildFailed');
    expect(message).toMatch(/^m2: the option services\.nginx\.enabel does not exist/);
    expect(message).toContain('2 of 5 more failed');
  });
});

test('after the fix everyone has the newest revision', async () => {
  await publish(floe, {}, marked(freshMarker()));
  const fleet = await waitForFleet(
    floe,
    'all five machines to have the fix',
    ({ configs, machines, rollouts }) => {
      const { revision } = configs[0]?.status ?? {};
      const isFixed = condition(configs[0], 'Ready')?.status === 'True' && rollouts[0]?.status?.phase === 'Completed';
      return isFixed && machines.every(({ status }) => status?.current?.revision === revision?.id);
    },
    { timeoutSeconds: 180 },
  );
  expect(await movedTo(fleet)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
  expect(fleet.configs[0]?.status?.failures).toBeUndefined();
  expect(condition(fleet.rollouts[0], 'Incomplete')).toBeUndefined();
  expect(condition(fleet.rollouts[0], 'Ready')?.status).toBe('True');
});
