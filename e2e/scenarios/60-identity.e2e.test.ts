// A machine is who holds its SSH host key: strangers, wrong keys and shared keys are refused, counted and told.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fleet } from '../bed/fleet.ts';
import type { Machine } from '../bed/machine.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { metric } from '../src/metrics-text.ts';
import { condition } from '../src/observe.ts';
import { Probe } from '../src/probe.ts';

const NAME = 'stranger';
const CA_FILE = '/etc/floe-hub-ca.crt';

let floe: Installation;
let stranger: Machine;

/** A sixth machine, with an agent of the fleet's, that nobody has told Floe of. */
beforeAll(async () => {
  floe = await laneInstallation();
  const [known = ''] = floe.machineNames;
  const ca = await (await floe.machine(known)).exec(['cat', CA_FILE]);
  await floe.publishBeside('strangers', {}, '{ }');
  const fleet = new Fleet(join(floe.cluster.dir, 'fleet-strangers'));
  const system = await fleet.build(known, [`{ lib, ... }: { networking.hostName = lib.mkForce "${NAME}"; }`]);
  stranger = await floe.cluster.machines.create({ name: NAME, system, files: { [CA_FILE]: ca } });
});
afterAll(async () => {
  await floe.kubectl('delete', 'nixmachine', NAME, 'twin', '--ignore-not-found');
  await stranger?.delete();
});

function nixMachine(name: string, sshHostKey: string): object {
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: { name },
    // No such config: nothing is to be built for it.
    spec: { configRef: { name: 'nobodys' }, identity: { sshHostKey } },
  };
}

const refused = (reason: string): Promise<number> => metric(floe, 'floe_hub_refused_total', `reason="${reason}"`);

async function untilRefused(reason: string, before: number): Promise<void> {
  await waitUntil(async () => (await refused(reason)) > before, {
    what: `a refusal for ${reason} to be counted`,
    everySeconds: 0.5,
    explain: () => stranger.sh('journalctl -u floe-agent -n 10 --no-pager -o cat'),
  });
}

/** The agent asks again at once, and not only when the hub has let it. */
async function knockAgain(): Promise<void> {
  await stranger.exec(['systemctl', 'restart', 'floe-agent']);
}

async function untilJournal(text: string): Promise<void> {
  await waitUntil(
    async () => (await stranger.exec(['journalctl', '-u', 'floe-agent', '-o', 'cat', '--no-pager'])).includes(text),
    {
      what: `the agent's journal to say "${text}"`,
      everySeconds: 0.3,
      explain: () => stranger.sh('journalctl -u floe-agent -n 10 --no-pager -o cat'),
    },
  );
}

/** Waits for a Warning of the hub on the machine's object, and returns its text. */
async function untilWarned(name: string, reason: string): Promise<string> {
  const fields = `involvedObject.name=${name},reason=${reason},type=Warning`;
  const list = ['get', 'events', '--field-selector', fields, '-o', 'jsonpath={.items[*].message}'];
  return waitUntil(async () => (await floe.kubectl(...list)) || undefined, {
    what: `a Warning ${reason} on ${name}`,
    everySeconds: 0.3,
  });
}

test('a machine that nobody has made known is refused, counted, and learns what to do', async () => {
  const before = await refused('UnknownMachine');
  await stranger.start();
  await untilRefused('UnknownMachine', before);
  await untilJournal(`the hub knows no NixMachine fleet/${NAME} with this SSH host key: create it`);
});

test('a machine with another key than its NixMachine says is refused, counted, and its object tells', async () => {
  const before = await refused('WrongKey');
  const someoneElse = (await floe.cluster.exec(['sh', '-euc', makeKey])).trim();
  await floe.apply(nixMachine(NAME, someoneElse));
  await knockAgain();
  await untilRefused('WrongKey', before);
  expect(await untilWarned(NAME, 'WrongKey')).toContain('spec.identity.sshHostKey');
  const object = await new Probe(floe, stranger).untilObject(
    'its condition says so',
    (one) => condition(one, 'Online')?.reason === 'WrongKey',
  );
  expect(condition(object, 'Online')).toMatchObject({ status: 'False' });
  expect(condition(object, 'Ready')?.message).toContain('spec.identity.sshHostKey');
});

test('with its own key in the NixMachine it is let in', async () => {
  await floe.apply(nixMachine(NAME, await stranger.sshHostKey()));
  await knockAgain();
  const object = await new Probe(floe, stranger).untilObject(
    'online',
    ({ status }) => status?.connection?.online === true,
  );
  expect(object.status?.current?.closure).toBe((await stranger.closures()).current);
});

test('a second object with its key is refused, and its machine stays', async () => {
  await floe.apply(nixMachine('twin', await stranger.sshHostKey()));
  const probe = new Probe(floe, stranger);
  const twin = await waitUntil(
    async () => {
      const object = JSON.parse(await floe.kubectl('get', 'nixmachine', 'twin', '-o', 'json'));
      return condition(object, 'Stalled')?.reason === 'DuplicateKey' ? object : undefined;
    },
    { what: 'the newer one to be refused', everySeconds: 0.3 },
  );
  expect(condition(twin, 'Ready')).toMatchObject({ status: 'False', reason: 'DuplicateKey' });
  expect(condition(twin, 'Ready')?.message).toContain('kubectl delete nixmachine twin');
  const object = await probe.object();
  expect(condition(object, 'Online')?.status).toBe('True');
  expect(condition(object, 'Stalled')?.status).toBe('False');
  await knockAgain();
  await probe.untilObject('online again', (one) => condition(one, 'Online')?.status === 'True');
  await floe.kubectl('delete', 'nixmachine', 'twin');
});

test('a machine whose object is deleted is put out at once', async () => {
  const before = await refused('UnknownMachine');
  await floe.kubectl('delete', 'nixmachine', NAME);
  await untilRefused('UnknownMachine', before);
});

const makeKey = 'd=$(mktemp -d); ssh-keygen -q -t ed25519 -N "" -f "$d/key"; cut -d" " -f1,2 "$d/key.pub"; rm -r "$d"';
