// Who moves a machine: its config at once (delivery Immediate), a Rollout that selects it, or nobody.
import type { NixMachine } from '@floe/crds/nix-machine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { type Installation, NAMESPACE } from '../src/installation.ts';
import { condition, type Fleet, readFleet, waitForFleet } from '../src/observe.ts';
import { calm, freshMarker, marked, publishBuilt, waitDone } from '../src/scene.ts';

let floe: Installation;

beforeAll(async () => {
  floe = await laneInstallation();
  await waitDone(floe, await calm(floe));
});

afterAll(async () => {
  await calm(floe);
  await floe.kubectl('delete', 'nixconfig', 'home', 'forgotten', '--ignore-not-found');
});

function configOf(name: string, spec: object): object {
  const source = { git: { url: `http://10.250.0.1:8418/${name}.git` } };
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixConfig',
    metadata: { name, namespace: NAMESPACE },
    spec: { source, interval: '2s', ...spec },
  };
}

async function give(machine: string, config: string): Promise<void> {
  const patch = JSON.stringify({ spec: { configRef: { name: config } } });
  await floe.kubectl('patch', 'nixmachine', machine, '--type=merge', '-p', patch);
}

function named(fleet: Fleet, name: string): NixMachine {
  const found = fleet.machines.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`there is no NixMachine ${name}`);
  return found;
}

function revisionOf(fleet: Fleet, config: string): string | undefined {
  return fleet.configs.find(({ metadata }) => metadata.name === config)?.status?.revision?.id;
}

/** What each machine was told, as text that any telling changes. */
function tellings(fleet: Fleet): Record<string, string | undefined> {
  return Object.fromEntries(fleet.machines.map(({ metadata, status }) => [metadata.name, status?.desired?.id]));
}

async function untilHome(commit: string): Promise<Fleet> {
  return waitForFleet(floe, `m1 to run ${commit.slice(0, 7)} of config home`, (seen) => {
    const { revision } = seen.configs.find(({ metadata }) => metadata.name === 'home')?.status ?? {};
    const { status } = named(seen, 'm1');
    return (
      revision?.source.endsWith(commit.slice(0, 7)) === true &&
      status?.current?.revision === revision.id &&
      status.attempt?.phase === 'Committed' &&
      condition(named(seen, 'm1'), 'Ready')?.status === 'True'
    );
  });
}

test('delivery Immediate: a machine moves as soon as its closure is built, without a Rollout', async () => {
  const common = () => `{ services.hello.enable = true; services.hello.greeting = "${freshMarker()}"; }`;
  const first = await floe.publishBeside('home', {}, common());
  await floe.apply(configOf('home', { delivery: 'Immediate' }));
  await give('m1', 'home');
  const fleet = await untilHome(first.commit);
  expect(named(fleet, 'm1').status?.desired).toMatchObject({ reason: 'Immediate', go: true });
  expect(named(fleet, 'm1').status?.desired?.rollout).toBeUndefined();
  const { current, bootDefault } = await (await floe.machine('m1')).closures();
  expect([current, bootDefault]).toEqual([
    named(fleet, 'm1').status?.desired?.closure,
    named(fleet, 'm1').status?.desired?.closure,
  ]);
  // The Rollout of the others lost a member, and nothing else.
  expect(fleet.rollouts[0]?.status?.counts?.total).toBe(4);
  expect(fleet.rollouts[0]?.status?.phase).toBe('Completed');

  const second = await floe.publishBeside('home', {}, common());
  const next = await untilHome(second.commit);
  const [before, after] = [named(fleet, 'm1'), named(next, 'm1')].map(({ status }) => status?.desired?.sequence ?? 0);
  expect(after).toBeGreaterThan(before ?? 0);
});

test('a machine that no Rollout selects waits, and says so', async () => {
  await floe.publishBeside('forgotten', {}, marked(freshMarker()));
  await floe.apply(configOf('forgotten', {}));
  const before = tellings(await readFleet(floe));
  await give('m2', 'forgotten');
  const fleet = await waitForFleet(
    floe,
    'm2 to say that no Rollout selects it',
    (seen) => named(seen, 'm2').status?.waiting?.reason === 'NoRollout',
  );
  expect(revisionOf(fleet, 'forgotten')).toBeDefined();
  const { waiting } = named(fleet, 'm2').status ?? {};
  expect(waiting?.message).toContain('no Rollout selects it: make one for NixConfig forgotten');
  expect(tellings(fleet)).toEqual(before);
  expect(await floe.kubectl('get', 'nm', 'm2')).toContain('no Rollout selects it');
});

test('deleting a Rollout moves nobody, and a revision that is built then waits', async () => {
  const before = await readFleet(floe);
  await floe.kubectl('delete', 'rollouts.floe.dev', 'fleet', '--wait=true');
  const revision = await publishBuilt(floe, {}, marked(freshMarker()));
  const others = ['m3', 'm4', 'm5'];
  const fleet = await waitForFleet(floe, 'm3, m4 and m5 to say that no Rollout selects them', (seen) =>
    others.every((name) => named(seen, name).status?.waiting?.reason === 'NoRollout'),
  );
  expect(revisionOf(fleet, 'fleet')).toBe(revision);
  expect(tellings(fleet)).toEqual(tellings(before));
  for (const name of others) {
    const { current } = await (await floe.machine(name)).closures();
    expect(current, name).toBe(named(before, name).status?.current?.closure);
  }
});
