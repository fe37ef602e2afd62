// The course of the rollout bench, inside the cluster's network: what is measured, and between which moments.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout as RolloutObject } from '@floe/crds/rollout';
import { nixMachines } from '@floe/operator/kube/resource';
import { SimulatedFleet } from '../simulated/agents.ts';
import { ApiServer, type Counted } from './api-server.ts';
import { bareServerMiB } from './bare-server.ts';
import type { CpuSeconds, Measured } from './figures.ts';
import { closureOf, machineNames, NAMESPACE, revisionId } from './objects.ts';
import { HUB_URL, OperatorProcess } from './operator-process.ts';
import { measurePatchRate } from './patch-rate.ts';
import { cpuSeconds, cpuSecondsOfAll, memoryMiB, pidsNamed } from './process-cost.ts';
import { describeRollout, waitForRollout } from './rollout-watch.ts';
import { createObjects, createRecords, makeCertificate, setRevision } from './stage.ts';

export type Job = {
  readonly machines: number;
  readonly kubeconfig: string;
  /** For certificates and logs. */
  readonly dir: string;
  readonly cpuProfile: string | undefined;
};

/** File of the operator's log, in the job's folder. */
export const OPERATOR_LOG = 'operator.log';

type Ports = { readonly api: ApiServer; readonly signal: AbortSignal; readonly say: (line: string) => void };

/** Agents that connect each second. */
const CONNECTS_PER_SECOND = 200;
/** Without a status write for so long, all that a step causes is written: no write waits longer than 2 s for company. */
const QUIET_SECONDS = 3;
/** Limit of each step, in seconds: a base, and some for each machine. */
const limitFor = (machines: number): number => 90 + machines / 10;

/** Runs the bench against an empty cluster that knows Floe's kinds. Ends every process that it starts. */
export async function rolloutCourse(job: Job, given: Omit<Ports, 'api'>): Promise<Measured> {
  const api = await ApiServer.open(job.kubeconfig);
  const ports: Ports = { ...given, api };
  const tls = await makeCertificate(job.dir);
  const names = machineNames(job.machines);
  const fleet = await SimulatedFleet.make({
    namespace: NAMESPACE,
    machines: names,
    hub: { url: HUB_URL, caFile: tls.certFile },
    signal: given.signal,
  });
  let operator: OperatorProcess | undefined;
  try {
    ports.say(`${names.length} NixMachines, a NixConfig and a Rollout`);
    await createObjects(names, fleet.sshHostKeys, { client: api.client, signal: given.signal });
    const began = performance.now();
    operator = await OperatorProcess.start({ ...job, ...tls, logFile: join(job.dir, OPERATOR_LOG) });
    await operator.ready(given.signal);
    const served: Ports = { ...ports, signal: AbortSignal.any([given.signal, operator.failed]) };
    await firstDecision(names.length, served);
    const startSeconds = secondsSince(began);
    const start = await operator.longestBlockMs(served.signal);
    ports.say(`the operator decides after ${startSeconds.toFixed(1)} s; ${names.length} agents connect`);
    const connectSeconds = await connect(names, fleet, served);
    const connected = await operator.longestBlockMs(served.signal);
    const rollout = await measureRollout(names, { fleet, operator }, served);
    const blockMs = { start, connect: connected, rollout: await operator.longestBlockMs(served.signal) };
    await operator.end();
    await fleet.end();
    ports.say("the API server's own rate, without the operator");
    const alone = await apiServerAlone(ports);
    ports.say('as many connections to a server that does nothing');
    const connections = names.length;
    const bareServer = await bareServerMiB({ ...tls, connections, signal: given.signal });
    return {
      machines: names.length,
      startSeconds,
      connectSeconds,
      blockMs,
      alone,
      bareServerMiB: bareServer,
      ...rollout,
    };
  } finally {
    await Promise.all([operator?.end(), fleet.end()]);
    await api.close();
  }
}

/** Waits until the Rollout has a status: the operator has read everything and planned. */
async function firstDecision(machines: number, { api, signal }: Ports): Promise<void> {
  const done = ({ status }: RolloutObject): boolean => status?.phase !== undefined;
  await waitForRollout(api.client, { done, seconds: limitFor(machines), signal });
}

/** Lets everyone connect with the first revision running, and waits until the Rollout has nothing more to do. */
async function connect(names: readonly string[], fleet: SimulatedFleet, ports: Ports): Promise<number> {
  const began = performance.now();
  const closures = Object.fromEntries(names.map((name) => [name, closureOf(revisionId(1), name)]));
  await fleet.start(closures, CONNECTS_PER_SECOND);
  await waitForRollout(ports.api.client, {
    done: ({ status }) =>
      status?.phase === 'Completed' && status.counts?.updated === names.length && status.counts.offline === 0,
    seconds: limitFor(names.length),
    signal: ports.signal,
    onChange: progress(ports.say, revisionId(1)),
  });
  const seconds = secondsSince(began);
  const { patches, conflicts } = await quiet(names.length, ports);
  ports.say(
    `all are connected: ${(patches / names.length).toFixed(2)} status writes per machine, ${conflicts} lost races`,
  );
  return seconds;
}

type Subjects = { readonly fleet: SimulatedFleet; readonly operator: OperatorProcess };
type RolloutPart = Omit<
  Measured,
  'machines' | 'startSeconds' | 'connectSeconds' | 'blockMs' | 'alone' | 'bareServerMiB'
>;

/** Releases the second revision and measures until everyone has it; what is written afterwards counts, too. */
async function measureRollout(
  names: readonly string[],
  { fleet, operator }: Subjects,
  ports: Ports,
): Promise<RolloutPart> {
  const { api, signal, say } = ports;
  const revision = revisionId(2);
  await createRecords(names, 2, { client: api.client, signal });
  const before = await quiet(names.length, ports);
  if (before.watches !== 1) throw new Error(`${before.watches} watches are open on NixMachines, one was expected`);
  say(`revision ${revision} is released`);
  const cost = await costOf(fleet, operator);
  const began = performance.now();
  await setRevision(revision, { client: api.client, signal });
  await waitForRollout(api.client, {
    done: ({ status }) => status?.phase === 'Completed' && status.revision === revision,
    seconds: limitFor(names.length),
    signal,
    onChange: progress(say, revision),
  });
  const rolloutSeconds = secondsSince(began);
  const costAfter = await costOf(fleet, operator);
  const memory = await memoryMiB(operator.pid);
  const after = await quiet(names.length, ports);
  const { machines } = await readMachines(ports);
  return {
    rolloutSeconds,
    patches: after.patches - before.patches,
    conflicts: after.conflicts - before.conflicts,
    operatorRssMiB: memory.now,
    operatorPeakRssMiB: memory.peak,
    cpu: difference(costAfter, cost),
    receiptMs: receipts(machines, revision, await fleet.begun()),
  };
}

/** From the writing of each order to the moment at which its machine began with it. Throws unless all have it. */
function receipts(machines: readonly NixMachine[], revision: string, begun: ReadonlyMap<string, number>): number[] {
  return machines.map(({ metadata: { name }, status }) => {
    const closure = closureOf(revision, name);
    const at = begun.get(closure);
    const { desired, current, attempt } = status ?? {};
    if (
      desired?.closure !== closure ||
      current?.closure !== closure ||
      attempt?.phase !== 'Committed' ||
      at === undefined
    ) {
      throw new Error(`the Rollout is complete, but ${name} runs ${current?.closure} (${attempt?.phase})`);
    }
    return at - Date.parse(desired.since);
  });
}

async function apiServerAlone(ports: Ports): Promise<Measured['alone']> {
  const { api, signal } = ports;
  const { watches } = await api.counted(signal);
  if (watches !== 0) throw new Error(`${watches} watches are still open on NixMachines, none was expected`);
  const { machines, resourceVersion } = await readMachines(ports);
  const { client } = api;
  const before = await serverCost();
  const rate = await measurePatchRate({ client, namespace: NAMESPACE, machines, resourceVersion, signal });
  const after = await serverCost();
  const cpu = after.apiServer - before.apiServer + after.etcd - before.etcd;
  return { writesPerSecond: rate.perSecond, cpuSecondsPerWrite: cpu / rate.writes };
}

async function readMachines({ api, signal }: Ports): Promise<{ machines: NixMachine[]; resourceVersion: string }> {
  const machines: NixMachine[] = [];
  let resourceVersion = '';
  for await (const page of api.client.listPages(nixMachines, { namespace: NAMESPACE, signal })) {
    machines.push(...page.items);
    resourceVersion = page.resourceVersion;
  }
  return { machines, resourceVersion };
}

/** Waits until nobody has written a machine's status for a while; returns the PATCHes that were counted until then. */
async function quiet(machines: number, { api, signal, say }: Ports): Promise<Counted> {
  const began = performance.now();
  let last = await api.counted(signal);
  let since = began;
  let said = began;
  while (secondsSince(since) < QUIET_SECONDS) {
    if (secondsSince(began) > limitFor(machines)) {
      throw new Error(`the operator still writes status after status, ${limitFor(machines)} s after all was done`);
    }
    await sleep(500, undefined, { signal });
    const now = await api.counted(signal);
    if (now.patches !== last.patches) since = performance.now();
    last = now;
    if (secondsSince(said) < 5) continue;
    said = performance.now();
    say(`${now.patches} status writes so far, and more come`);
  }
  return last;
}

async function serverCost(): Promise<Pick<CpuSeconds, 'apiServer' | 'etcd'>> {
  const [apiServer, etcd] = await Promise.all([pidsNamed('kube-apiserver'), pidsNamed('etcd')]);
  return { apiServer: await cpuSecondsOfAll(apiServer), etcd: await cpuSecondsOfAll(etcd) };
}

async function costOf(fleet: SimulatedFleet, operator: OperatorProcess): Promise<CpuSeconds> {
  const servers = await serverCost();
  return { operator: await cpuSeconds(operator.pid), ...servers, agents: await cpuSecondsOfAll(fleet.pids) };
}

function difference(after: CpuSeconds, before: CpuSeconds): CpuSeconds {
  return {
    operator: after.operator - before.operator,
    apiServer: after.apiServer - before.apiServer,
    etcd: after.etcd - before.etcd,
    agents: after.agents - before.agents,
  };
}

/** Says where the Rollout stands with a revision, at most once a second. */
function progress(say: Ports['say'], revision: string): (rollout: RolloutObject) => void {
  let said = 0;
  return (rollout) => {
    if (rollout.status?.revision !== revision || performance.now() - said < 1000) return;
    said = performance.now();
    say(describeRollout(rollout));
  };
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}
