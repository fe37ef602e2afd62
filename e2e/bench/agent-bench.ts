// The agent bench: one real machine, several closures by hand and by order, then a time in which nothing happens.
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Desired, NixMachine } from '@floe/crds/nix-machine';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { MergePatch } from '@floe/operator/kube/client';
import { nixMachines } from '@floe/operator/kube/resource';
import type { Machine } from '../bed/machine.ts';
import { type OnProgress, step } from '../bed/progress.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { machineObjects } from '../src/acts.ts';
import { Installation, NAMESPACE } from '../src/installation.ts';
import { agentMemory, countIdle, nodeMemory } from './agent-cost.ts';
import { type AgentFigures, agentFiguresOf, type Brought } from './agent-figures.ts';
import { ApiServer } from './api-server.ts';
import type { AgentBenchArguments } from './arguments.ts';

type Ports = {
  readonly onProgress: OnProgress;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

type Stage = Ports & { readonly floe: Installation; readonly machine: Machine; readonly api: ApiServer };

const MACHINE = 'm1';
/** Closures that are brought; the one before them is where both ways begin. */
const CLOSURES = 7;
/** What a connection or an attempt left behind is gone by then. */
const SETTLE_MS = 60_000;

/** Runs the bench once. Leaves nothing up, however it ends. */
export async function agentBench(given: AgentBenchArguments, ports: Ports): Promise<AgentFigures> {
  const { onProgress, say, signal } = ports;
  const began = loadavg()[0] ?? 0;
  const name = `bench-${process.pid}`;
  const floe = await Installation.create({ name, machines: [MACHINE], endsWithParent: true, onProgress });
  let api: ApiServer | undefined;
  try {
    api = await ApiServer.open(await floe.cluster.kubeconfigForHost());
    const stage: Stage = { ...ports, floe, api, machine: await floe.machine(MACHINE) };
    const { machine } = stage;
    await floe.apply(...(await machineObjects(floe)));
    const systems = await step(onProgress, 'closures', `${CLOSURES + 1} closures on the machine`, () => put(stage));
    await untilMachine(stage, 'it is connected', ({ status }) => status?.connection?.online === true);
    say('a minute of rest, then memory');
    await sleep(SETTLE_MS, undefined, { signal });
    const node = await nodeMemory(machine);
    const fresh = await agentMemory(machine);
    say(`${CLOSURES} closures by hand`);
    const byHand = await bringByHand(stage, systems);
    say('the same by order');
    const brought: Brought[] = [];
    for (const [index, system] of systems.slice(1).entries()) brought.push(await bring(stage, system, index + 1));
    say(`a minute of rest, then ${given.idleSeconds} s that are counted`);
    await sleep(SETTLE_MS, undefined, { signal });
    const afterAttempts = await agentMemory(machine);
    const { patches } = await api.counted(signal);
    const idle = await countIdle(machine, given.idleSeconds, signal);
    const writes = (await api.counted(signal)).patches - patches;
    const load = [began, loadavg()[0] ?? 0];
    const cost = { node, fresh, afterAttempts, idle, writes };
    return agentFiguresOf({ byHand, brought, ...cost, load, cpus: availableParallelism() });
  } finally {
    await api?.close();
    await floe.cluster.destroy();
  }
}

/** Closures that differ in the text that a service says, signed and in the machine's store: nothing is fetched. */
async function put({ floe, machine }: Stage): Promise<string[]> {
  const systems: string[] = [];
  await machine.exec(['sh', '-euc', 'umask 077; cat > /root/bench-key'], { input: floe.key.secret });
  for (let number = 0; number <= CLOSURES; number++) {
    const hello = `{ services.hello.enable = true; services.hello.greeting = "Closure ${number}"; }`;
    const system = await floe.fleet.build(MACHINE, [hello]);
    await floe.cluster.machines.addClosure(machine, system);
    await machine.exec(['nix', 'store', 'sign', '--recursive', '--key-file', '/root/bench-key', system]);
    systems.push(system);
  }
  await machine.exec(['rm', '/root/bench-key']);
  return systems;
}

/** The agent stands still meanwhile: it neither helps nor looks. Returns milliseconds for each closure but the first. */
async function bringByHand({ machine }: Stage, systems: readonly string[]): Promise<number[]> {
  const [first = ''] = systems;
  const agent = (signal: string) => machine.exec(['systemctl', 'kill', `--signal=${signal}`, 'floe-agent']);
  const took: number[] = [];
  await agent('STOP');
  try {
    for (const system of systems) {
      // As nixos-rebuild does before it calls the program; not timed.
      await machine.exec(['nix-env', '--profile', '/nix/var/nix/profiles/system', '--set', system]);
      const script = `a=$(date +%s%N); ${system}/bin/switch-to-configuration switch >&2; b=$(date +%s%N); echo $(((b - a) / 1000))`;
      const micros = Number((await machine.sh(script)).trim());
      if (system !== first) took.push(micros / 1000);
    }
    await machine.exec(['nix-env', '--profile', '/nix/var/nix/profiles/system', '--set', first]);
    await machine.exec([`${first}/bin/switch-to-configuration`, 'switch']);
  } finally {
    await agent('CONT');
  }
  return took;
}

/** Writes an order, as a rollout does, and reads from the machine's own journal when it got how far. */
async function bring(stage: Stage, closure: string, number: number): Promise<Brought> {
  const { api, signal } = stage;
  const id = number.toString(16).padStart(16, '0');
  const since = rfc3339(Date.now());
  const order: Desired = {
    id,
    sequence: Math.floor(Date.now() / 1000) + number,
    revision: number.toString(16).padStart(12, '0'),
    closure,
    reason: 'Rollout',
    go: true,
    since,
  };
  const patch = { status: { desired: order } } as unknown as MergePatch<NixMachine>;
  const written = Date.now();
  await api.client.mergePatch(nixMachines, { namespace: NAMESPACE, name: MACHINE }, patch, {
    subresource: 'status',
    signal,
  });
  const done = await untilMachine(
    stage,
    `closure ${number} is kept`,
    ({ status }) => status?.attempts?.[0]?.desiredId === id,
  );
  const attempt = done.status?.attempts?.[0];
  if (attempt?.phase !== 'Committed') throw new Error(`closure ${number} was not kept: ${attempt?.message}`);
  const at = (phase: string): number => {
    const time = attempt.phases?.find((one) => one.phase === phase)?.at;
    if (time === undefined) throw new Error(`closure ${number}: the machine says of no phase ${phase}`);
    return Date.parse(time) - written;
  };
  return {
    received: Date.parse(attempt.startedAt ?? '') - written,
    running: at('Confirming'),
    committed: Date.parse(attempt.finishedAt ?? '') - written,
  };
}

async function untilMachine(
  { floe, signal }: Stage,
  what: string,
  done: (machine: NixMachine) => boolean,
): Promise<NixMachine> {
  return waitUntil(
    async () => {
      const machine = JSON.parse(await floe.kubectl('get', 'nixmachine', MACHINE, '-o', 'json')) as NixMachine;
      return done(machine) ? machine : undefined;
    },
    {
      what: `${MACHINE}: ${what}`,
      timeoutSeconds: 180,
      everySeconds: 0.5,
      signal,
      explain: () => floe.kubectl('get', 'nixmachine', MACHINE, '-o', 'jsonpath={.status}'),
    },
  );
}
