// The demo's three acts, used by the demo and by the tests: each ends with what the machines themselves say.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixMachine } from '@floe/crds/nix-machine';
import { parseAllDocuments } from 'yaml';
import { projectDir } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { NAMESPACE } from './installation.ts';
import { type Fleet, waitForFleet } from './observe.ts';
import type { Site } from './site.ts';

export type Say = (line: string) => void;

/** What an act needs: where it plays, who listens, and what looks at the fleet meanwhile. */
export interface Stage {
  readonly floe: Site;
  readonly say: Say;
  readonly each?: (fleet: Fleet) => void;
}

export const CONFIG_FILE = join(projectDir, 'demo', 'fleet.yaml');
const BROKEN = '{ services.hello.enable = true; test.unitFails = true; }';

function greeting(text: string): string {
  return `{ services.hello.enable = true; services.hello.greeting = "${text}"; }`;
}

/** The NixMachine of each machine, with its real host key and a check that hello.service runs. */
export async function machineObjects(floe: Site): Promise<object[]> {
  return Promise.all(
    floe.machineNames.map(async (name) => ({
      apiVersion: 'floe.dev/v1alpha1',
      kind: 'NixMachine',
      metadata: { name, namespace: NAMESPACE },
      spec: {
        configRef: { name: 'fleet' },
        identity: { sshHostKey: await (await floe.machine(name)).sshHostKey() },
        activation: {
          confirmTimeout: '30s',
          healthChecks: [{ name: 'hello', systemd: { units: ['hello.service'] }, timeout: '15s' }],
        },
      },
    })),
  );
}

/** What demo/fleet.yaml says, with the address at which the fleet's repository is served here. */
async function configObjects(url: string): Promise<object[]> {
  const text = (await readFile(CONFIG_FILE, 'utf8')).replace(/url: .*/, `url: ${url}`);
  return parseAllDocuments(text).map((document) => document.toJS() as object);
}

/** What each machine runs now, read on the machine. */
export async function running(floe: Site): Promise<Record<string, string>> {
  const pairs = await Promise.all(
    floe.machineNames.map(async (name) => [name, (await (await floe.machine(name)).closures()).current] as const),
  );
  return Object.fromEntries(pairs);
}

/** Whether everyone runs the revision, its next boot starts it, and Floe says the same. */
function everyoneHas(fleet: Fleet, revision: string | undefined, machines: number): boolean {
  const has = (machine: NixMachine): boolean =>
    machine.status?.current?.revision === revision &&
    machine.status?.bootDefault?.closure === machine.status?.current?.closure &&
    machine.status?.attempt?.phase === 'Committed';
  return revision !== undefined && fleet.machines.length === machines && fleet.machines.every(has);
}

function newRevision(fleet: Fleet, before: string | undefined): string | undefined {
  const revision = fleet.configs[0]?.status?.revision?.id;
  return revision === before ? undefined : revision;
}

async function checkOnMachines(stage: Stage, fleet: Fleet): Promise<Record<string, string>> {
  const real = await running(stage.floe);
  for (const machine of fleet.machines) {
    const said = machine.status?.current?.closure;
    const runs = real[machine.metadata.name];
    if (said !== runs) throw new Error(`${machine.metadata.name} runs ${runs}, but its status says ${said}`);
  }
  return real;
}

/** Act 1: everything is applied, and the first revision reaches all. Returns its id. */
export async function firstRevision(stage: Stage): Promise<string> {
  const { floe, say } = stage;
  const { url } = await floe.publish({}, greeting('Hello'));
  const objects = await machineObjects(floe);
  say('$ kubectl apply -f demo/fleet.yaml -f machines.yaml');
  await floe.apply(...objects, ...(await configObjects(url)));
  const fleet = await waitForFleet(
    floe,
    'the first revision to reach every machine',
    (seen) =>
      everyoneHas(seen, newRevision(seen, undefined), floe.machineNames.length) &&
      seen.rollouts[0]?.status?.phase === 'Completed',
    { timeoutSeconds: 240, ...(stage.each ? { each: stage.each } : {}) },
  );
  await checkOnMachines(stage, fleet);
  return fleet.configs[0]?.status?.revision?.id ?? '';
}

/** Act 2: a second revision goes to a canary, waits, then to the rest. Returns its id. */
export async function secondRevision(stage: Stage, before: string): Promise<string> {
  const { floe, say } = stage;
  say('$ git commit -am "hello: another greeting" && git push');
  await floe.publish({}, greeting('Good morning'));
  const order: string[] = [];
  const fleet = await waitForFleet(
    floe,
    'the second revision to reach every machine',
    (seen) => {
      const revision = newRevision(seen, before);
      for (const machine of seen.machines) {
        const told = machine.status?.desired?.revision === revision && revision !== undefined;
        if (told && !order.includes(machine.metadata.name)) order.push(machine.metadata.name);
      }
      if (order.length > 1 && !everyoneElseWaited(seen, order, revision)) return false;
      return everyoneHas(seen, revision, floe.machineNames.length) && seen.rollouts[0]?.status?.phase === 'Completed';
    },
    { timeoutSeconds: 240, ...(stage.each ? { each: stage.each } : {}) },
  );
  await checkOnMachines(stage, fleet);
  return fleet.configs[0]?.status?.revision?.id ?? '';
}

/** The canary was done before anybody else was told. */
function everyoneElseWaited(fleet: Fleet, order: readonly string[], revision: string | undefined): boolean {
  const canary = fleet.machines.find((machine) => machine.metadata.name === order[0]);
  if (canary?.status?.current?.revision === revision) return true;
  throw new Error(`${order.slice(1).join(', ')} were told while the canary ${order[0]} was not done`);
}

/** Act 3: a third revision has a service that fails; the canary rolls back, and nobody else is touched. */
export async function brokenRevision(stage: Stage, good: string): Promise<string> {
  const { floe, say } = stage;
  const before = await running(floe);
  say('$ git commit -am "hello: a mistake" && git push');
  await floe.publish({}, BROKEN);
  const fleet = await waitForFleet(
    floe,
    'the third revision to be rolled back on its canary',
    (seen) => newRevision(seen, good) !== undefined && seen.rollouts[0]?.status?.phase === 'Failed',
    { timeoutSeconds: 240, ...(stage.each ? { each: stage.each } : {}) },
  );
  const touched = fleet.machines.filter((machine) => machine.status?.attempt?.phase === 'RolledBack');
  if (touched.length !== 1) throw new Error(`${touched.length} machines were rolled back, one was expected`);
  const after = await waitUntil(
    async () => {
      const now = await running(floe);
      return floe.machineNames.every((name) => now[name] === before[name]) ? now : undefined;
    },
    { what: 'every machine to run what it ran before', timeoutSeconds: 30 },
  );
  const canary = touched[0];
  const others = floe.machineNames.filter((name) => name !== canary?.metadata.name);
  const untouched = fleet.machines.every(
    (machine) => machine.metadata.name === canary?.metadata.name || machine.status?.desired?.revision === good,
  );
  if (!untouched) throw new Error('a machine beside the canary was told the third revision');
  say(`  · ${others.join(' ')} were never touched`);
  const different = new Set(Object.values(after)).size;
  say(`  ${different} closures on ${floe.machineNames.length} machines, each the one it ran before`);
  return good;
}
