// Machines that can't simply dial: behind proxies, without a key that anybody knows, and with people who want no times kept.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NixMachine } from '@floe/crds/nix-machine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Fleet } from '../bed/fleet.ts';
import type { Machine } from '../bed/machine.ts';
import { projectDir } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { machineObjects, running } from '../src/acts.ts';
import { FleetWatch } from '../src/fleet-watch.ts';
import { hubAddress } from '../src/helm-values.ts';
import { CA_FILE, type Installation, NAMESPACE } from '../src/installation.ts';
import { metric } from '../src/metrics-text.ts';
import { condition, waitForFleet } from '../src/observe.ts';
import { OperatorPods } from '../src/operator-pods.ts';
import { Probe } from '../src/probe.ts';
import { Proxies } from '../src/proxies.ts';
import { calm, config, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

const ZONE = 'topology.kubernetes.io/zone';
/** Everything of the cluster's: Services and pods. */
const CLUSTER = ['10.96.0.0/16', '10.244.0.0/24'];

let floe: Installation;
let proxies: Proxies;
let watch: FleetWatch | undefined;
/** Each machine's way, as `networking.proxy` of NixOS writes it; m3 has a proxy that nobody told it of. */
let ways: Record<string, string>;

const probeOf = async (name: string): Promise<Probe> => new Probe(floe, await floe.machine(name));
const journal = (machine: Machine): Promise<string> =>
  machine.exec(['journalctl', '-u', 'floe-agent', '-o', 'cat', '--no-pager', '-n', '200']);

async function untilSaid(machine: Machine, text: string): Promise<void> {
  await waitUntil(async () => (await journal(machine)).includes(text), {
    what: `the agent of ${machine.name} to say "${text}"`,
    everySeconds: 0.4,
    explain: () => journal(machine),
  });
}

beforeAll(async () => {
  floe = await laneInstallation();
  const { cluster } = floe;
  await cluster.network.clear();
  await floe.kubectl('delete', 'rollouts.floe.dev', '--all', '--wait=true');
  const replicas = await new OperatorPods(floe).untilReady();
  proxies = await Proxies.start(
    cluster,
    replicas.map(({ address }) => address),
  );
  const through = (variables: string) => `{ systemd.services.floe-agent.environment = { ${variables} }; }`;
  ways = {
    m1: through(
      `http_proxy = "${proxies.tunnel}"; https_proxy = "${proxies.tunnel}"; no_proxy = "127.0.0.1,localhost";`,
    ),
    m2: through(`all_proxy = "${proxies.socks}";`),
  };
  await floe.apply(...(await machineObjects(floe)), config(), rollout());
  const revision = await publishBuilt(floe, ways, marked(freshMarker()));
  await waitDone(floe, revision);

  const m3 = await floe.machine('m3');
  await m3.exec(['sh', '-euc', `cp ${CA_FILE} ${CA_FILE}.own; cat >> ${CA_FILE}`], { input: proxies.inspectorCa });
  await m3.sh(`cp /etc/hosts /etc/hosts.own; echo '${proxies.inspector} ${hubAddress}' >> /etc/hosts`);
  for (const name of ['m1', 'm2']) {
    const { address } = await floe.machine(name);
    for (const to of CLUSTER) await cluster.network.block({ from: address, to });
  }
  await (await probeOf('m3')).cutOff('floe-hub');
  // What they hold is dead; they need not find out by themselves.
  for (const name of ['m1', 'm2', 'm3']) {
    await (await floe.machine(name)).exec(['systemctl', 'restart', 'floe-agent']);
  }
});

afterAll(async () => {
  await watch?.[Symbol.asyncDispose]();
  const m3 = await floe.machine('m3');
  await m3.sh(`for file in ${CA_FILE} /etc/hosts; do [ ! -e $file.own ] || mv $file.own $file; done`);
  await m3.exec(['systemctl', 'restart', 'floe-agent']);
  for (const name of floe.machineNames) await (await floe.machine(name)).start();
  await floe.kubectl('label', 'nixmachine', '--all', `${ZONE}-`);
  await floe.kubectl('patch', 'nixmachine', 'm4', '--type=merge', '-p', '{"spec":{"presence":null}}');
  await calm(floe);
  // Not before: until now m1 and m2 knew no other way.
  await proxies?.[Symbol.asyncDispose]();
});

describe('behind a proxy', () => {
  test('a rollout goes through CONNECT, SOCKS, and by long poll through one that passes no WebSocket on', async () => {
    const m3 = await floe.machine('m3');
    await waitUntil(async () => (await metric(floe, 'floe_hub_connections', 'transport="poll"')) === 1, {
      what: 'one machine to be connected by long poll',
      everySeconds: 0.5,
      explain: () => journal(m3),
    });
    await untilSaid(m3, ', by long poll: no WebSocket gets through)');
    const names = ['tunnel', 'socks', 'inspector'] as const;
    const before = await Promise.all(names.map(async (name) => (await proxies.log(name)).length));
    const good = await publishBuilt(floe, ways, marked(freshMarker()));
    const { machines } = await waitDone(floe, good);
    expect(machines.map(({ status }) => status?.attempt?.phase)).toEqual(Array(5).fill('Committed'));
    const said = await Promise.all(names.map(async (name, index) => (await proxies.log(name)).slice(before[index])));
    const [tunnel = [], socks = [], inspector = []] = said;
    const count = (lines: readonly string[], text: string) => lines.filter((line) => line.includes(text)).length;
    // The session of the new agent, and the confirmation, which has a connection of its own.
    expect(count(tunnel, `CONNECT ${hubAddress}:8443`)).toBeGreaterThanOrEqual(2);
    expect(count(tunnel, 'GET http://floe-cache.floe-system.svc:8080/')).toBeGreaterThanOrEqual(2);
    const m2 = (await floe.machine('m2')).address;
    expect(count(socks, `${m2}: connected to ${hubAddress}:8443`)).toBeGreaterThanOrEqual(2);
    expect(count(socks, `${m2}: connected to floe-cache.floe-system.svc:8080`)).toBeGreaterThanOrEqual(1);
    // The new agent looks once, by its session or its confirmation, whichever comes first.
    expect(count(inspector, `${m3.address} GET /agent 426`)).toBeGreaterThanOrEqual(1);
    expect(count(inspector, `${m3.address} POST /agent/poll 200`)).toBeGreaterThanOrEqual(4);
    expect(count(inspector, ' 101')).toBe(0);
  });

  test('one with Coarse presence that loses its power in mid-switch keeps its slot', async () => {
    await floe.kubectl('patch', 'nixmachine', 'm4', '--type=merge', '-p', '{"spec":{"presence":"Coarse"}}');
    for (const name of floe.machineNames) {
      await floe.kubectl('label', 'nixmachine', name, '--overwrite', `${ZONE}=${name === 'm4' ? 'a' : 'b'}`);
    }
    await floe.apply(rollout({ maxUnavailable: 1 }));
    const probe = await probeOf('m4');
    await probe.machine.start();
    await watch?.[Symbol.asyncDispose]();
    watch = await FleetWatch.start(floe);
    const revision = await publishBuilt(floe, ways, marked(freshMarker(), 'test.activationSeconds = 4;'));
    await probe.untilObject('it switches', ({ status }) => {
      return status?.desired?.revision === revision && status.attempt?.phase === 'Testing';
    });
    await probe.machine.kill();
    const { status } = await probe.untilObject('it is off', (one) => one.status?.connection?.online === false);
    expect(status?.connection).toMatchObject({ since: expect.stringMatching(/T00:00:00Z$/) });
    await floe.kubectl('annotate', 'rollout.floe.dev', 'fleet', '--overwrite', `floe.dev/reconcile=${freshMarker()}`);
    // Time enough for a plan that would tell another one.
    await sleep(4000);
    expect(watch.names(revision)).toEqual(['m4']);
    await probe.machine.start();
    await probe.untilObject('it is back', (one) => one.status?.attempt?.phase === 'RolledBack');
  });

  test('a revision that fails is rolled back and reported through each of them', async () => {
    const before = await running(floe);
    await floe.apply(rollout());
    const bad = await publishBuilt(floe, ways, marked(freshMarker(), 'test.unitFails = true;'));
    const { machines } = await waitForFleet(
      floe,
      'everyone to be back',
      ({ rollouts, machines: all }) =>
        rollouts[0]?.status?.phase === 'Failed' &&
        all.every(({ status }) => status?.desired?.revision === bad && status.attempt?.phase === 'RolledBack'),
      { timeoutSeconds: 180 },
    );
    const said = machines.map(({ metadata, status }) => [metadata.name, status?.current?.closure]);
    expect([await running(floe), Object.fromEntries(said)]).toEqual([before, before]);
  });
});

describe('a machine whose key nobody knows', () => {
  const NAME = 'joiner';
  const TOKEN = '/root/join-token';
  const MODULES = { [NAME]: `{ services.floe-agent.settings.joinTokenFile = "${TOKEN}"; }` };
  let joiner: Machine;
  let probe: Probe;

  beforeAll(async () => {
    const ca = await (await floe.machine('m5')).exec(['cat', CA_FILE]);
    const { url } = await floe.publishBeside('joiners', MODULES, marked('as it was installed'));
    const system = await new Fleet(join(floe.cluster.dir, 'fleet-joiners')).build(NAME);
    await floe.publishBeside('joiners', MODULES, marked(freshMarker()));
    joiner = await floe.cluster.machines.create({ name: NAME, system, files: { [CA_FILE]: ca } });
    probe = new Probe(floe, joiner);
    const head = (kind: string, name: string, labels = {}) => ({
      apiVersion: 'floe.dev/v1alpha1',
      kind,
      metadata: { name, namespace: NAMESPACE, labels },
    });
    await floe.apply(
      { ...head('NixConfig', 'joiners'), spec: { source: { git: { url, ref: { branch: 'main' } } } } },
      {
        ...head('Rollout', 'joiners'),
        spec: { configRef: { name: 'joiners' }, selector: { matchLabels: { role: NAME } } },
      },
      {
        ...head('NixMachine', NAME, { role: NAME }),
        spec: { configRef: { name: 'joiners' }, presence: 'Coarse', activation: { confirmTimeout: '30s' } },
      },
    );
  });
  afterAll(async () => {
    await floe.kubectl('delete', 'nixmachine', NAME, '--ignore-not-found');
    await floe.kubectl('delete', 'rollouts.floe.dev', 'joiners', '--ignore-not-found');
    await floe.kubectl('delete', 'nixconfig', 'joiners', '--ignore-not-found');
    await floe.kubectl('delete', 'secrets', '-l', 'floe.dev/join=true');
    await joiner?.delete();
  });

  /** As an admin makes one. */
  async function token(...flags: string[]): Promise<string> {
    const floeCommand = [process.execPath, join(projectDir, 'dist/floe.mjs'), 'token', 'create', '-n', NAMESPACE];
    const text = await floe.cluster.exec([...floeCommand, '--kubeconfig', floe.cluster.kubeconfig, ...flags]);
    return text.trim();
  }

  /** The machine shows that token from now on, and asks at once. */
  async function show(text: string): Promise<void> {
    await joiner.start();
    await joiner.exec(['sh', '-euc', `umask 077; cat > ${TOKEN}; systemctl restart floe-agent`], { input: text });
  }

  const fingerprint = async (): Promise<string> =>
    (await joiner.sh('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1] ?? '';

  test('a token that has expired is not taken, and says so on the machine and at its object', async () => {
    const expired = await token('--machine', NAME, '--ttl', '1s');
    await sleep(1100);
    await show(expired);
    await untilSaid(joiner, 'the join token is not taken: it has expired; make another (kubectl floe token create)');
    await waitUntil(async () => (await floe.kubectl('describe', 'nixmachine', NAME)).includes('BadToken'), {
      what: 'an Event at the object',
      everySeconds: 0.4,
    });
    expect((await probe.object()).status?.pendingKey).toBeUndefined();
  });

  test('a good one makes the key visible and lets nobody in; used up, it shows no other key', async () => {
    await show(await token('--machine', NAME, '--uses', '1', '--ttl', '1h'));
    const first = await fingerprint();
    const object = await probe.untilObject(
      'the pending key',
      ({ status }) => status?.pendingKey?.fingerprint === first,
    );
    expect(object.status?.connection).toBeUndefined();
    expect(await floe.kubectl('get', 'nixmachine', NAME)).toContain(first);
    const described = await floe.kubectl('describe', 'nixmachine', NAME);
    expect(described).toContain(first);
    expect(described).toContain(`floe approve machine/${NAME}`);

    // Set up anew, with the token that it had.
    await joiner.sh(
      'rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key; systemctl restart floe-agent',
    );
    await untilSaid(joiner, 'the join token is not taken: it is used up; make another (kubectl floe token create)');
    expect((await probe.object()).status?.pendingKey?.fingerprint).toBe(first);
  });

  test('an annotation approves the key, and a Rollout gives the machine its system; no time says when it came', async () => {
    await show(await token('--selector', `role=${NAME}`, '--ttl', '1h'));
    const own = await fingerprint();
    await probe.untilObject('the new key', ({ status }) => status?.pendingKey?.fingerprint === own);
    await floe.kubectl('annotate', 'nixmachine', NAME, '--overwrite', `floe.dev/approve-key=${own}`);
    const isDone = ({ status }: NixMachine): boolean =>
      status?.attempt?.phase === 'Committed' && status.current?.revision === status.desired?.revision;
    const done = await probe.untilObject('its first attempt to be over', isDone);
    expect(done.spec.identity).toBeUndefined();
    // It stays, for the annotation names nothing but its fingerprint.
    expect(done.status?.pendingKey?.fingerprint).toBe(own);
    expect(done.status?.current?.closure).toBe((await joiner.closures()).current);
    const { connection } = done.status ?? {};
    expect(connection).toMatchObject({ online: true, since: expect.stringMatching(/T00:00:00Z$/) });
    expect(connection?.lastSeen).toBeUndefined();
    expect(condition(done, 'Online')?.lastTransitionTime).toMatch(/T00:00:00Z$/);
  });

  test('an agent that still runs after a switch by hand is a condition, until it is restarted', async () => {
    const other = `builtins.toFile "floe-agent.mjs" (builtins.readFile /fleet/floe-agent.mjs + "// another build ${freshMarker()}\\n")`;
    const fleet = new Fleet(join(floe.cluster.dir, 'fleet-joiners'));
    const closure = await fleet.build(NAME, [`{ services.floe-agent.package = ${other}; }`]);
    await floe.cluster.machines.addClosure(joiner, closure);
    await joiner.exec([`${closure}/bin/switch-to-configuration`, 'test']);
    const old = await probe.untilObject('its agent is an old one', (object) => {
      const { status, message } = condition(object, 'AgentOutdated') ?? {};
      return status === 'True' && message?.endsWith('systemctl restart floe-agent on it') === true;
    });
    expect(old.status?.agent?.running).not.toBe(old.status?.agent?.expected);
    await joiner.exec(['systemctl', 'restart', 'floe-agent']);
    await probe.untilObject('its agent is the new one', (object) => {
      const { running, expected } = object.status?.agent ?? {};
      return condition(object, 'AgentOutdated')?.status === 'False' && running === expected;
    });
  });
});
