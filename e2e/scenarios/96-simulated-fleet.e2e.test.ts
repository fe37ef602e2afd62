// A script says what goes wrong on 100 simulated machines: counts, failures, budget, who was skipped and who turned bad are exactly that.
// Real API server, a real operator process, real agents' code; the machines are in memory.
import { join } from 'node:path';
import type { Rollout, RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import type { KubeClient, MergePatch } from '@floe/operator/kube/client';
import { rollouts } from '@floe/operator/kube/resource';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../bed/wait-until.ts';
import { closureOf, machineNames, NAME, NAMESPACE, revisionId } from '../bench/objects.ts';
import { OperatorProcess, SYSTEM } from '../bench/operator-process.ts';
import { createObjects, createRecords, makeCertificate, setRevision } from '../bench/stage.ts';
import { installKinds } from '../real-apiserver/kinds.ts';
import { freePort, RealApiServer } from '../real-apiserver/real-api-server.ts';
import { SimulatedFleet } from '../simulated/agents.ts';
import { MachineWatch } from '../simulated/machine-watch.ts';
import { type Fate, type FleetScript, fateOf } from '../simulated/script.ts';

const MACHINES = 100;
const BUDGET = 10;
const CANARY = 10;

const end = new AbortController();
const { signal } = end;
const names = machineNames(MACHINES);
const key = { namespace: NAMESPACE, name: NAME };
let api: RealApiServer;
let client: KubeClient;
let fleet: SimulatedFleet;
let operator: OperatorProcess;
let watch: MachineWatch;
let revisions = 1;
let budget: number | string = BUDGET;

const statusNow = async (): Promise<RolloutStatus> => (await client.get(rollouts, key, { signal })).status ?? {};

function until(what: string, done: (status: RolloutStatus) => boolean): Promise<RolloutStatus> {
  return waitUntil(
    async () => {
      const status = await statusNow();
      return done(status) ? status : undefined;
    },
    {
      what,
      timeoutSeconds: 240,
      everySeconds: 0.2,
      explain: async () => JSON.stringify(await statusNow(), undefined, 1),
    },
  );
}

const ended = (revision: string): Promise<RolloutStatus> =>
  until(`the run of ${revision} to end`, (status) => {
    const isOver = status.phase === 'Completed' || status.phase === 'Failed';
    return status.revision === revision && isOver;
  });

/** The next revision under a script and a policy, and whom the script strikes in it. */
async function begin(
  script: FleetScript | undefined,
  spec: Partial<RolloutSpec>,
): Promise<{ revision: string; struck: (by: (fate: Fate) => boolean) => string[] }> {
  const revision = revisionId(++revisions);
  await fleet.script(script);
  watch.forget();
  budget = spec.maxUnavailable ?? BUDGET;
  const policy = { steps: null, successThreshold: null, offline: null, maxUnavailable: budget, ...spec };
  await client.mergePatch(rollouts, key, { spec: policy } as MergePatch<Rollout>, { signal });
  await createRecords(names, revisions, { client, signal });
  await setRevision(revision, { client, signal });
  const struck = (by: (fate: Fate) => boolean) =>
    script === undefined ? [] : names.filter((name) => by(fateOf(script, name, closureOf(revision, name))));
  return { revision, struck };
}

/** Machines that run their closure of a revision, as the watch saw them last. */
const having = (revision: string): string[] =>
  names.filter((name) => watch.status(name).current?.closure === closureOf(revision, name));

/** Machines that were told a revision, each once. */
function told(revision: string): string[] {
  const all = names.filter((name) => watch.told(name, closureOf(revision, name)) > 0);
  expect(
    all.filter((name) => watch.told(name, closureOf(revision, name)) > 1),
    'told twice',
  ).toEqual([]);
  return all;
}

beforeAll(async () => {
  api = await RealApiServer.start();
  client = api.client();
  await installKinds([SYSTEM, NAMESPACE], { client, signal });
  const tls = await makeCertificate(api.folder);
  const [https, http] = [await freePort(), await freePort()];
  fleet = await SimulatedFleet.make({
    namespace: NAMESPACE,
    machines: names,
    hub: { url: `https://127.0.0.1:${https}`, caFile: tls.certFile },
    stageMs: 100,
    signal,
  });
  await createObjects(names, fleet.sshHostKeys, { client, signal });
  await client.mergePatch(rollouts, key, { spec: { maxUnavailable: BUDGET } } as MergePatch<Rollout>, { signal });
  const logFile = join(api.folder, 'operator.log');
  const kubeconfig = await api.kubeconfig();
  operator = await OperatorProcess.start({
    kubeconfig,
    ...tls,
    ports: { https, http },
    logFile,
    cpuProfile: undefined,
  });
  await operator.ready(signal);
  const first = revisionId(1);
  await fleet.start(Object.fromEntries(names.map((name) => [name, closureOf(first, name)])), 100);
  expect((await ended(first)).phase).toBe('Completed');
  watch = await MachineWatch.start(MACHINES, { client, signal });
  await watch.calm();
});

afterAll(async () => {
  end.abort();
  await operator?.kill();
  await fleet?.end();
  await api?.close();
});

afterEach(() => {
  expect(watch.most.length, watch.most.join('\n')).toBeLessThanOrEqual(Number(budget));
  expect(watch.most.length).toBeGreaterThan(1);
});

test('some fail, some are slow, some go away in mid-switch: all others have it, nobody is told twice', async () => {
  const script: FleetScript = {
    seed: 1,
    failSwitch: 0.05,
    failHealth: 0.05,
    disconnect: { share: 0.1, afterMs: 150, awayMs: 1500 },
    slow: { share: 0.1, factor: 8 },
  };
  const { revision, struck } = await begin(script, { successThreshold: 80 });
  const bad = struck(({ failsSwitch, failsHealth }) => failsSwitch || failsHealth);
  for (const by of [bad, struck(({ disconnects }) => disconnects), struck(({ factor }) => factor > 1)])
    expect(by.length).toBeGreaterThan(3);
  const status = await ended(revision);
  expect(status).toMatchObject({
    phase: 'Completed',
    stableRevision: revision,
    counts: { total: MACHINES, updated: MACHINES - bad.length, failed: bad.length },
  });
  expect(status.failures?.map(({ machine }) => machine).filter((name) => !bad.includes(name))).toEqual([]);
  expect(status.conditions?.find(({ type }) => type === 'Incomplete')).toMatchObject({
    status: 'True',
    reason: 'Failed',
  });
  await waitUntil(async () => having(revision).length === MACHINES - bad.length, {
    what: 'the watch to see all of it',
  });
  expect(names.filter((name) => !having(revision).includes(name))).toEqual(bad);
  expect(told(revision)).toEqual(names);
});

test('offline Skip: complete without those that went away, who follow on their return', async () => {
  const script: FleetScript = { seed: 2, disconnect: { share: 0.1, afterMs: 10 } };
  const { revision, struck } = await begin(script, { offline: 'Skip' });
  const away = struck(({ disconnects }) => disconnects);
  expect(away.length).toBeGreaterThan(5);
  const without = await ended(revision);
  expect(without).toMatchObject({
    phase: 'Completed',
    counts: { updated: MACHINES - away.length, failed: 0, offline: away.length },
    skipped: { count: away.length, machines: away.slice(0, 10), returned: 0 },
  });
  await fleet.script(undefined);
  const { skipped } = await until('all to have returned', (status) => status.skipped?.returned === away.length);
  expect(skipped?.count).toBe(0);
  for (const { machine } of skipped?.last ?? []) expect(away).toContain(machine);
  expect(told(revision)).toEqual(names);
});

test('a unit fails on some of the canaries after their update: the run fails before anyone else is told', async () => {
  const script: FleetScript = { seed: 3, turnBad: { share: 0.4, afterMs: 300 } };
  const steps = [{ batch: { size: '10%' } }, { pause: {} }];
  const { revision, struck } = await begin(script, { steps });
  const bad = struck(({ turnsBad }) => turnsBad);
  const status = await ended(revision);
  const canaries = told(revision);
  const first = bad.filter((name) => canaries.includes(name));
  expect(first.length).toBeGreaterThan(0);
  expect(first).toEqual(expect.arrayContaining([...(status.analysis?.builtIn?.machines ?? ['none'])]));
  expect(status).toMatchObject({ phase: 'Failed', stopped: { reason: 'Failed' }, counts: { failed: 0 } });
  expect(status.stopped?.message).toMatch(/^m\d+: simulated\.service failed .+ after its update/);
  expect(first).toContain(status.stopped?.message.split(':')[0]);
  expect(canaries.length).toBeLessThanOrEqual(CANARY);
});

test('the next revision reaches everyone, the broken ones too; the budget was never exceeded', async () => {
  const { revision } = await begin(undefined, { steps: [{ batch: { size: CANARY } }] });
  const status = await ended(revision);
  expect(status).toMatchObject({ phase: 'Completed', counts: { updated: MACHINES, failed: 0 } });
  expect(told(revision)).toEqual(names);
});
