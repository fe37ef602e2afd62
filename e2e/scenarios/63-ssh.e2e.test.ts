// A machine without an agent: reached by SSH from the operator, with the same attempts, and a way back that needs nobody.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NixMachine, NixMachineSpec } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Closures, Machine } from '../bed/machine.ts';
import { makeSshKey } from '../bed/ssh-server.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { goodFleet } from '../src/apart.ts';
import type { Installation } from '../src/installation.ts';
import { condition } from '../src/observe.ts';
import { Probe, RELOADS } from '../src/probe.ts';
import { freshMarker, marked } from '../src/scene.ts';

const NAME = 'scenario-ssh';
const MACHINE = 'm4';
/** The unit of its SSH server. */
const SERVER = 'scenario-sshd';
/** Not 22: a closure may have an SSH server of its own there. */
const PORT = 2222;
/** What the checks over http ask for; it listens on the machine's loopback alone. */
const PAGE = { unit: 'scenario-page', port: 8099 };
const PODS = '10.244.0.0/24';
const NO_AGENT = 'services.floe-agent.enable = lib.mkForce false;';

let floe: Installation;
let probe: Probe;
/** Its spec as a machine with an agent, and what it runs then. */
let spec: NixMachineSpec;
let home: Closures;
/** With which the operator logs in. */
let privateKey: string;

/** An SSH server that lets the key in, beside what closures start. */
async function startServer(machine: Machine, publicKey: string): Promise<void> {
  const options = [
    'UsePAM=no',
    'StrictModes=no',
    'PidFile=none',
    `Port=${PORT}`,
    'AuthorizedKeysFile=/run/scenario-ssh-keys',
  ];
  const server = ['/usr/sbin/sshd', '-D', '-e', '-f', '/dev/null', '-o', 'HostKey=/etc/ssh/ssh_host_ed25519_key'];
  await machine.sh(`mkdir -p /run/sshd; echo '${publicKey}' > /run/scenario-ssh-keys`);
  await machine.exec(
    ['systemd-run', '--quiet', '--collect', `--unit=${SERVER}`, '--'].concat(
      server,
      options.flatMap((one) => ['-o', one]),
    ),
  );
}

async function startPage(machine: Machine): Promise<void> {
  const program = `require('http').createServer((_, answer) => answer.end('it is fine')).listen(${PAGE.port}, '127.0.0.1')`;
  await machine.exec(['systemd-run', '--quiet', '--collect', `--unit=${PAGE.unit}`, '--', 'node', '-e', program]);
}

async function makeKey(): Promise<{ secret: string; line: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'floe-key-'));
  try {
    await makeSshKey(join(folder, 'key'));
    const [secret, line] = await Promise.all([
      readFile(join(folder, 'key'), 'utf8'),
      readFile(join(folder, 'key.pub'), 'utf8'),
    ]);
    return { secret, line: line.trim() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const patch = (change: object, type = 'merge') =>
  floe.kubectl('patch', 'nixmachine', MACHINE, `--type=${type}`, '-p', JSON.stringify(change));

/** A new revision of the scenario's config; `module` is what is special about the machine. */
async function publish(module: string): Promise<string> {
  const { url } = await floe.publishBeside(NAME, { [MACHINE]: `{ lib, ... }: { ${module} }` }, marked(freshMarker()));
  return url;
}

/** What the machine is told, once it is another closure than `before`. */
async function told(before: string | undefined): Promise<{ closure: string; id: string }> {
  const is = ({ status }: NixMachine) =>
    status?.desired?.rollout === NAME && status.desired.go && status.desired.closure !== before;
  const { closure = '', id = '' } = (await probe.untilObject('it is told the revision', is)).status?.desired ?? {};
  return { closure, id };
}

const rolloutStatus = async (): Promise<Rollout['status']> =>
  (JSON.parse(await floe.kubectl('get', 'rollouts.floe.dev', NAME, '-o', 'json')) as Rollout).status;

/** Timers and runs of an attempt that systemd still knows. */
const units = () => probe.machine.sh("systemctl list-units --all --no-legend --plain 'floe-rescue-*' 'floe-switch-*'");

beforeAll(async () => {
  floe = await laneInstallation();
  probe = new Probe(floe, await floe.machine(MACHINE));
  await goodFleet(floe);
  const { secret, line } = await makeKey();
  privateKey = secret;
  await startServer(probe.machine, line);
  await startPage(probe.machine);
  spec = (await probe.object()).spec;
  home = await probe.closures();
});

afterAll(async () => {
  if (floe === undefined || home === undefined) return;
  await floe.cluster.network.clear();
  await floe.kubectl('delete', 'rollouts.floe.dev', NAME, '--ignore-not-found');
  const { spec: now, status } = await probe.object();
  const isBack = now.target === undefined && status?.desired?.rollout === 'fleet';
  if (!isBack || (await probe.unitState('floe-agent.service')) !== 'active') await backByHand();
  await probe.machine.tryExec(['systemctl', 'stop', SERVER, PAGE.unit, RELOADS]);
  await floe.kubectl('delete', 'nixconfig', NAME, '--ignore-not-found');
  await floe.kubectl('delete', 'secret', NAME, '--ignore-not-found');
});

/** A test has failed on the way: what its admin would do, and nothing that it was told is left. */
async function backByHand(): Promise<void> {
  await floe.kubectl('delete', 'nixmachine', MACHINE);
  await probe.machine.sh(`systemctl stop 'floe-rescue-*' 'floe-switch-*' floe-agent.service || true
    rm -rf /var/lib/floe-ssh
    nix-env -p /nix/var/nix/profiles/system --set ${home.current}
    ${home.current}/bin/switch-to-configuration switch || true
    systemctl restart floe-agent.service`);
  await floe.apply({ apiVersion: 'floe.dev/v1alpha1', kind: 'NixMachine', metadata: { name: MACHINE }, spec });
}

test('a good revision reaches a machine whose agent was taken away', async () => {
  const url = await publish(NO_AGENT);
  await floe.apply(
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: NAME }, stringData: { privateKey } },
    {
      apiVersion: 'floe.dev/v1alpha1',
      kind: 'NixConfig',
      metadata: { name: NAME },
      spec: { source: { git: { url, ref: { branch: 'main' } } }, interval: '2s' },
    },
    {
      apiVersion: 'floe.dev/v1alpha1',
      kind: 'Rollout',
      metadata: { name: NAME },
      spec: { configRef: { name: NAME }, selector: { matchLabels: { scenario: NAME } } },
    },
  );
  await probe.machine.exec(['systemctl', 'stop', 'floe-agent.service']);
  await patch({
    metadata: { labels: { scenario: NAME } },
    spec: {
      configRef: { name: NAME },
      target: { ssh: { host: probe.machine.address, port: PORT, secretRef: { name: NAME } } },
      activation: {
        timeout: '60s',
        confirmTimeout: '20s',
        healthChecks: [
          { name: 'hello', systemd: { units: ['hello.service'] }, timeout: '15s' },
          { name: 'page', http: { url: `http://localhost:${PAGE.port}/`, body: { contains: 'fine' } }, timeout: '15s' },
          { name: 'port', tcp: { port: PORT }, timeout: '15s' },
        ],
      },
    },
  });
  const { closure } = await told(home.current);
  const object = await probe.untilEnded(closure, 'Committed');
  expect(await probe.closures()).toEqual({ ...home, current: closure, profile: closure, bootDefault: closure });
  expect(await probe.unitState('floe-agent.service')).toBe('inactive');
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await units()).toBe('');

  const { status } = object;
  expect(status).toMatchObject({
    current: { closure, revision: status?.desired?.revision },
    booted: { closure: home.booted },
    bootDefault: { closure, verified: false },
    attempt: {
      from: home.current,
      exitCode: 0,
      checks: ['units', 'hello', 'page', 'port'].map((name) => expect.objectContaining({ name, passed: true })),
    },
    connection: { online: true },
  });
  expect(status).not.toHaveProperty('agent');
  const ready = await probe.untilObject('it is ready', (one) => condition(one, 'Ready')?.status === 'True');
  for (const type of ['Online', 'UpToDate', 'Healthy']) expect(condition(ready, type)?.status, type).toBe('True');
  expect(condition(ready, 'Ready')?.message).toBe('up to date');
  await waitUntil(async () => (await rolloutStatus())?.phase === 'Completed', { what: 'the run to be completed' });
});

test('another host key than in the spec is refused before anything is said, and the conditions say why', async () => {
  const logins = () =>
    probe.machine.sh(`journalctl -u ${SERVER} -o cat --no-pager | grep -c 'Accepted publickey' || true`);
  // The last visit may be ending still, and be followed by another look.
  let before = '';
  for (let now = await logins(); now !== before; now = await logins()) {
    before = now;
    await sleep(2000);
  }
  const { line } = await makeKey();
  await patch({ spec: { identity: { sshHostKey: line } } });
  const off = await probe.untilObject('the key is wrong', (one) => condition(one, 'Online')?.reason === 'WrongKey');
  expect(await logins()).toBe(before);
  expect(condition(off, 'Online')?.status).toBe('False');
  expect(condition(off, 'Online')?.message).toContain(await probe.machine.sshHostKey());
  expect(condition(off, 'Ready')?.message).toContain('spec.identity.sshHostKey');
  expect(off.status?.connection).toMatchObject({ online: false, fault: { reason: 'WrongKey' } });

  await patch({ spec: { identity: { sshHostKey: await probe.machine.sshHostKey() } } });
  const on = await probe.untilObject('online again', (one) => condition(one, 'Online')?.status === 'True');
  expect(on.status?.connection).not.toHaveProperty('fault');
  expect(await logins()).not.toBe(before);
});

test('a bad revision is rolled back there, and the run says so', async () => {
  const before = await probe.closures();
  const last = (await probe.object()).status?.desired?.closure;
  await publish(`${NO_AGENT} services.hello.enable = lib.mkForce false;`);
  const { closure } = await told(last);
  const object = await probe.untilEnded(closure, 'RolledBack');
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await units()).toBe('');
  expect(object.status?.attempt?.checks).toContainEqual(expect.objectContaining({ name: 'hello', passed: false }));
  expect(object.status?.current?.closure).toBe(before.current);
  expect(object.status?.knownBad).toContain(closure);
  expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'RolledBack' });
  const status = await waitUntil(
    async () => {
      const now = await rolloutStatus();
      return now?.phase === 'Failed' ? now : undefined;
    },
    { what: 'the run to say that it failed' },
  );
  expect(status?.counts).toMatchObject({ total: 1, failed: 1, updated: 0 });
  expect(JSON.stringify(status?.failures)).toContain(MACHINE);
});

test('a machine that is cut off before it is confirmed goes back by a unit of its own, though systemd is reloaded each second', async () => {
  await floe.cluster.network.clear();
  await probe.machine.tryExec(['systemctl', 'stop', RELOADS]);
  const stopReloading = await probe.keepReloading();
  const before = await probe.closures();
  const last = (await probe.object()).status?.desired?.closure;
  // The timer goes off 30 s after the limit of the switch.
  await patch({ spec: { activation: { timeout: '15s' } } });
  await publish(`${NO_AGENT} test.activationSeconds = 2;`);
  const { closure, id } = await told(last);
  const begun = ['sh', '-c', `ls /var/lib/floe-ssh/runs/${id}-*.started`];
  await waitUntil(async () => (await probe.machine.tryExec(begun)).code === 0, {
    what: 'the switch to begin',
    everySeconds: 0.05,
  });
  const fault = await floe.cluster.network.block({ from: PODS, to: probe.machine.address });
  await waitUntil(async () => (await probe.closures()).current === closure, { what: 'the new closure to run' });
  expect((await probe.closures()).profile, 'nothing is kept that nobody has confirmed').toBe(before.profile);
  expect(await units()).toMatch(/floe-rescue-\S+\.timer +loaded +active/);

  await waitUntil(async () => (await probe.closures()).current === before.current, {
    what: 'the timer to go back',
    timeoutSeconds: 90,
  });
  await stopReloading();
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect((await probe.object()).status?.attempt?.finishedAt, 'nobody can have said so yet').toBeUndefined();

  await fault.remove();
  const object = await probe.untilEnded(closure, 'RolledBack');
  expect(object.status?.attempt?.message).toContain('timer');
  expect(object.status?.current?.closure).toBe(before.current);
  expect(await probe.closures()).toEqual(before);
  await waitUntil(async () => (await units()) === '', { what: 'no unit of the attempt to be left' });
});

test('it gets its agent back by SSH, with the revision of the fleet, and is calm', async () => {
  await patch({ metadata: { labels: { scenario: null } }, spec: { configRef: spec.configRef } });
  const object = await probe.untilObject(
    'it has the revision of the fleet',
    ({ status }) =>
      status?.desired?.rollout === 'fleet' &&
      status.attempt?.desiredId === status.desired.id &&
      status.attempt.phase === 'Committed',
  );
  expect(await probe.closures()).toEqual(home);
  expect(await probe.unitState('floe-agent.service')).toBe('active');
  expect(object.status).not.toHaveProperty('agent');

  // Asked for a look at once: who visits finds an agent there, and leaves the machine to it.
  await patch({ spec: { target: { ssh: { interval: '2m' } } } });
  const both = await probe.untilObject('the agent is found', (one) => condition(one, 'Online')?.reason === 'AgentRuns');
  expect(condition(both, 'Ready')?.message).toContain('set target agent, or stop it');

  await patch([{ op: 'replace', path: '/spec', value: spec }], 'json');
  // It was refused until now, and would ask again within a minute.
  await probe.machine.exec(['systemctl', 'restart', 'floe-agent.service']);
  const own = await probe.untilObject(
    'its agent speaks for it',
    (one) => one.status?.agent !== undefined && condition(one, 'Ready')?.status === 'True',
  );
  expect(own.status?.current?.closure).toBe(home.current);
  expect(own.status?.bootDefault).toMatchObject({ closure: home.current, verified: true });
  for (const type of ['Online', 'UpToDate', 'Healthy']) expect(condition(own, type)?.status, type).toBe('True');
  expect(condition(own, 'Drifted')?.status).toBe('False');
  expect(await units()).toBe('');
});
