// The leader is killed at 15 random moments while 200 machines are updated (100 in `npm run test:long`): the budget holds, no machine gets an order twice, each run ends as planned.
// Real API server, real operator processes, real agents' code; the machines are in memory.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rollout } from '@floe/crds/rollout';
import type { KubeClient } from '@floe/operator/kube/client';
import { isNotFound } from '@floe/operator/kube/error';
import { leases, rollouts } from '@floe/operator/kube/resource';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../bed/wait-until.ts';
import { closureOf, machineNames, NAME, NAMESPACE, revisionId } from '../bench/objects.ts';
import { OperatorProcess, SYSTEM } from '../bench/operator-process.ts';
import { createObjects, createRecords, makeCertificate, setRevision } from '../bench/stage.ts';
import { installKinds } from '../real-apiserver/kinds.ts';
import { freePort, RealApiServer } from '../real-apiserver/real-api-server.ts';
import { SimulatedFleet } from '../simulated/agents.ts';
import { MachineWatch } from '../simulated/machine-watch.ts';
import { Balancer } from '../src/balancer.ts';

const MACHINES = 200;
const BUDGET = 10;
const KILLS = Number(process.env['FLOE_KILLS'] ?? 15);
const LEASE = { namespace: SYSTEM, name: 'floe-operator' };

const end = new AbortController();
const { signal } = end;
const names = machineNames(MACHINES);
let api: RealApiServer;
let client: KubeClient;
let fleet: SimulatedFleet;
let balancer: Balancer;
let watch: MachineWatch;
const replicas = new Map<string, { readonly process: OperatorProcess; readonly port: number }>();
let started = 0;
let common: { kubeconfig: string; certFile: string; keyFile: string };

async function startReplica(): Promise<string> {
  const replica = `replica-${started++}`;
  const [https, http] = [await freePort(), await freePort()];
  const process = await OperatorProcess.start({
    ...common,
    replica,
    ports: { https, http },
    logFile: join(api.folder, `${replica}.log`),
    cpuProfile: undefined,
  });
  replicas.set(replica, { process, port: https });
  await process.ready(signal);
  balancer.lead([...replicas.values()].map(({ port }) => port));
  return replica;
}

/** Who holds the Lease; undefined where nobody does that lives. */
async function leader(): Promise<string | undefined> {
  try {
    const { spec } = await client.get(leases, LEASE, { signal });
    const holder = spec?.holderIdentity ?? '';
    return replicas.has(holder) ? holder : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Kills the leader. Its Lease goes with it, as after the 15 s in which it is not renewed: another may lead at once. */
async function killLeader(): Promise<boolean> {
  const name = await leader();
  const found = name === undefined ? undefined : replicas.get(name);
  if (name === undefined || found === undefined) return false;
  await found.process.kill();
  replicas.delete(name);
  balancer.lead([...replicas.values()].map(({ port }) => port));
  await client.delete(leases, LEASE, { signal });
  return true;
}

const run = (): Promise<Rollout> => client.get(rollouts, { namespace: NAMESPACE, name: NAME }, { signal });

beforeAll(async () => {
  api = await RealApiServer.start();
  client = api.client();
  await installKinds([SYSTEM, NAMESPACE], { client, signal });
  const tls = await makeCertificate(api.folder);
  common = { kubeconfig: await api.kubeconfig(), ...tls };
  balancer = await Balancer.start();
  fleet = await SimulatedFleet.make({
    namespace: NAMESPACE,
    machines: names,
    hub: { url: `https://127.0.0.1:${balancer.port}`, caFile: tls.certFile },
    stageMs: 50,
    signal,
  });
  await createObjects(names, fleet.sshHostKeys, { client, signal });
  const spec = {
    maxUnavailable: BUDGET,
    steps: [{ batch: { size: 1 } }, { batch: { size: '30%' } }, { pause: { duration: '1s' } }],
  };
  await client.mergePatch(rollouts, { namespace: NAMESPACE, name: NAME }, { spec } as object, { signal });
  await Promise.all([startReplica(), startReplica()]);
  const first = Object.fromEntries(names.map((name) => [name, closureOf(revisionId(1), name)]));
  await fleet.start(first, 100);
  await completed(revisionId(1));
  watch = await MachineWatch.start(MACHINES, { client, signal });
  await watch.calm();
});

afterAll(async () => {
  end.abort();
  await Promise.all([...replicas.values()].map(({ process }) => process.kill()));
  await fleet?.end();
  await balancer?.close();
  await api?.close();
});

async function completed(revision: string): Promise<Rollout> {
  return waitUntil(
    async () => {
      const rollout = await run();
      const { status } = rollout;
      expect(status?.phase).not.toBe('Failed');
      return status?.phase === 'Completed' && status.revision === revision ? rollout : undefined;
    },
    {
      what: `the run of ${revision} to end`,
      timeoutSeconds: 400,
      everySeconds: 0.2,
      explain: async () => JSON.stringify((await run()).status, undefined, 1),
    },
  );
}

test(`the leader is killed at ${KILLS} random moments: budget, orders and course are as if it had lived`, async () => {
  let kills = 0;
  for (let number = 2; kills < KILLS; number++) {
    const revision = revisionId(number);
    await createRecords(names, number, { client, signal });
    await setRevision(revision, { client, signal });
    const ended = new AbortController();
    const done = completed(revision).finally(() => ended.abort());
    while (!ended.signal.aborted && kills < KILLS) {
      await sleep(100 + Math.random() * 1500, undefined, { signal: ended.signal }).catch(() => undefined);
      if (ended.signal.aborted || !(await killLeader())) continue;
      kills += 1;
      await startReplica();
    }
    const { status } = await done;
    expect(status?.counts).toMatchObject({ total: MACHINES, updated: MACHINES, failed: 0 });
    expect(status?.stableRevision).toBe(revision);
    expect(status?.history?.[0]).toMatchObject({ revision, outcome: 'Completed' });
    await waitUntil(
      async () => names.every((name) => watch.status(name).current?.closure === closureOf(revision, name)),
      { what: 'the watch to see every machine on its closure' },
    );
    const twice = names.filter((name) => watch.told(name, closureOf(revision, name)) !== 1);
    expect(twice, 'told twice, or never').toEqual([]);
  }
  expect(watch.most.length, watch.most.join('\n')).toBeLessThanOrEqual(BUDGET);
  expect(watch.most.length).toBeGreaterThan(1);
});
