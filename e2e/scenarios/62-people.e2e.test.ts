// Secrets on a real machine, and the people at it: files with owner and mode, a question, a yes, and the way back.
import type { NixMachine } from '@floe/crds/nix-machine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Machine } from '../bed/machine.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { machineObjects } from '../src/acts.ts';
import type { Installation } from '../src/installation.ts';
import { condition } from '../src/observe.ts';
import { OperatorPods } from '../src/operator-pods.ts';
import { config, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

const FIRST = 'floe-secret-one';
const SECOND = 'floe-secret-two';
const TOKEN = 'floe-secret-token';
const AGENT = '/run/current-system/sw/bin/floe-agent';
/** m5 names its group, and a unit that a new content concerns. */
const MODULES = {
  m5: '{ services.floe-agent.settings = { usersGroup = "floe-users"; secrets."tls.key" = { restartUnits = [ "hello.service" ]; }; }; }',
};

let floe: Installation;
let m5: Machine;
let before = '';

const read = async (): Promise<NixMachine> =>
  JSON.parse(await floe.kubectl('get', 'nixmachine', 'm5', '-o', 'json')) as NixMachine;

function until(what: string, holds: (machine: NixMachine) => boolean, timeoutSeconds = 60): Promise<NixMachine> {
  const ask = async () => {
    const machine = await read();
    return holds(machine) ? machine : undefined;
  };
  const explain = async () => JSON.stringify((await read()).status, null, 1);
  return waitUntil(ask, { what, timeoutSeconds, everySeconds: 0.4, explain });
}

const patch = (spec: object) =>
  floe.kubectl('patch', 'nixmachine', 'm5', '--type=merge', '-p', JSON.stringify({ spec }));

/** Contents are looked at every 30 s by themselves; a person who can't wait says so. */
const hurry = () => floe.kubectl('annotate', 'nixmachine', 'm5', '--overwrite', `floe.dev/reconcile=${Date.now()}`);

const secret = (data: Record<string, string>) =>
  floe.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'web' }, stringData: data });

const file = (name: string, key = 'tls', more: object = {}) => ({ name, secretRef: { name: 'web', key }, ...more });
const tlsKey = file('tls.key', 'tls', { owner: 'ada', group: 'floe-users', mode: '0440' });

const invocation = async () => (await m5.sh('systemctl show -p InvocationID --value hello.service')).trim();
const inode = async (name: string) => (await m5.sh(`stat -c '%i %Y' /run/floe-secrets/${name}`)).trim();
const content = (name: string) => m5.sh(`cat /run/floe-secrets/${name}`);

/** What a user is told, and the exit code. */
async function as(user: string, ...words: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await m5.tryExec(['runuser', '-u', user, '--', AGENT, ...words]);
  return { code: code ?? -1, said: `${stdout}${stderr}` };
}

beforeAll(async () => {
  floe = await laneInstallation();
  m5 = await floe.machine('m5');
  // As users.users and users.groups of NixOS make them.
  await m5.sh(`
    grep -q ^floe-users: /etc/group || echo floe-users:x:990:ada >> /etc/group
    for user in ada:991 eve:992; do
      grep -q "^\${user%:*}:" /etc/passwd || echo "\${user%:*}:x:\${user#*:}:100::/:/bin/sh" >> /etc/passwd
    done`);
  await floe.cluster.network.clear();
  await floe.kubectl('delete', 'rollouts.floe.dev', '--all', '--wait=true');
  await floe.apply(...(await machineObjects(floe)), config(), rollout());
  before = await publishBuilt(floe, MODULES, marked(freshMarker()));
  await waitDone(floe, before);
});

afterAll(async () => {
  await patch({ secrets: null, owners: null, activation: { consent: null, deferLimit: null } });
  await m5.tryExec([AGENT, 'release']);
  await floe.kubectl('delete', 'secret', 'web', '--ignore-not-found');
  await until(
    'm5 to be as ordered, without files',
    ({ status }) => status?.secrets === undefined && status?.current?.closure === status?.desired?.closure,
  );
});

describe('secrets', () => {
  test('come as files with owner and mode; one that can not be does not keep the others', async () => {
    await secret({ tls: FIRST, token: TOKEN });
    await patch({ secrets: [tlsKey, file('token', 'token'), file('other', 'tls', { owner: 'nobody-here' })] });
    const { status } = await until('two of three files to be there', (one) => one.status?.secrets?.delivered === 2);
    expect(status?.secrets).toMatchObject({
      total: 3,
      failed: [{ name: 'other', message: expect.stringContaining('there is no user nobody-here on the machine') }],
    });
    const listed = await m5.sh("cd /run/floe-secrets; stat -c '%n %U:%G %a' . *; stat -f -c %T .");
    expect(listed.trim().split('\n')).toEqual([
      '. root:root 751',
      'tls.key ada:floe-users 440',
      'token root:root 400',
      'tmpfs',
    ]);
    expect([await content('tls.key'), await content('token')]).toEqual([FIRST, TOKEN]);
  });

  test('a changed one is rewritten and restarts what names it; the others are not touched', async () => {
    const [unit, token] = [await invocation(), await inode('token')];
    await secret({ tls: SECOND, token: TOKEN });
    await hurry();
    await waitUntil(async () => (await content('tls.key')) === SECOND, { what: 'the new content on m5' });
    await waitUntil(async () => (await invocation()) !== unit, { what: 'hello.service to be restarted' });
    expect(await inode('token')).toBe(token);
  });

  test('another replica and a restarted agent touch nothing', async () => {
    const [unit, key, token] = [await invocation(), await inode('tls.key'), await inode('token')];
    const changedAt = await m5.sh('cat /run/floe-secrets/.changed');
    await m5.sh('systemctl restart floe-agent.service');
    await until('m5 to be connected again', (one) => one.status?.connection?.online === true);
    await hurry();
    await until('the list to be checked', (one) => one.status?.secrets?.delivered === 2);
    expect([await invocation(), await inode('tls.key'), await inode('token')]).toEqual([unit, key, token]);
    expect(await m5.sh('cat /run/floe-secrets/.changed')).toBe(changedAt);
    await until('the same time in the status', (one) => one.status?.secrets?.changedAt === changedAt);
  });

  test('what is taken out vanishes', async () => {
    await patch({ secrets: [tlsKey] });
    await until('one file to be left', ({ status }) => status?.secrets?.total === 1 && status.secrets.delivered === 1);
    expect((await m5.sh('ls /run/floe-secrets')).trim()).toBe('tls.key');
  });

  test('they are back after a restart of the machine', async () => {
    await m5.restart();
    await waitUntil(async () => (await content('tls.key')) === SECOND, { what: 'the file after a restart' });
  });

  test('a unit that needs them fails where they do not come in time, and starts when they have come', async () => {
    // As after a boot without a network; the units as nix/people.nix makes them.
    await m5.sh(`
      systemctl stop floe-agent.service
      rm -rf /run/floe-secrets
      cd /run/systemd/system
      mkdir -p needs-secrets.service.requires
      ln -sf ../floe-secrets.target needs-secrets.service.requires/
      printf '[Unit]\\nRequires=floe-secrets.service\\nAfter=floe-secrets.service\\nBefore=needs-secrets.service\\nWants=needs-secrets.service\\n' > floe-secrets.target
      printf '[Service]\\nType=oneshot\\nRemainAfterExit=true\\nExecStart=/bin/sh -c "for _ in 1 2; do [ -e /run/floe-secrets/.complete ] && exit 0; sleep 1; done; exit 1"\\n' > floe-secrets.service
      printf '[Service]\\nExecStart=/bin/sh -c "cat /run/floe-secrets/tls.key >/dev/null && exec sleep infinity"\\n' > needs-secrets.service
      systemctl daemon-reload`);
    const state = async (unit: string) => (await m5.tryExec(['systemctl', 'is-active', unit])).stdout.trim();
    const { code } = await m5.tryExec(['systemctl', 'start', 'needs-secrets.service']);
    expect([code, await state('floe-secrets.service'), await state('needs-secrets.service')]).toEqual([
      1,
      'failed',
      'inactive',
    ]);
    await m5.sh('systemctl start floe-agent.service');
    const runs = async () => (await state('needs-secrets.service')) === 'active';
    await waitUntil(runs, { what: 'needs-secrets.service to run' });
    expect(await state('floe-secrets.target')).toBe('active');
    await m5.sh(`
      systemctl stop needs-secrets.service floe-secrets.target floe-secrets.service
      cd /run/systemd/system; rm -r needs-secrets.service* floe-secrets.*; systemctl daemon-reload`);
  });

  test('no content is on a disk, in a log or in the API', async () => {
    const words = [FIRST, SECOND, TOKEN];
    const pattern = 'floe-secret-[ot]';
    const found = await m5.tryExec(['sh', '-c', `grep -rlE '${pattern}' /var /etc /root /boot /home 2>/dev/null`]);
    expect(found.stdout).toBe('');
    const journal = await m5.sh('journalctl -o cat --no-pager -u floe-agent.service');
    const logs = JSON.stringify(await new OperatorPods(floe).logs());
    const objects = await floe.kubectl('get', 'nixmachines,nixconfigs,rollouts.floe.dev,events', '-o', 'json');
    for (const word of words) {
      for (const text of [journal, logs, objects]) expect(text.includes(word)).toBe(false);
    }
  });
});

describe('consent', () => {
  let revision = '';

  test('a machine that asks fetches and waits, and says for whom; the others go on', async () => {
    await patch({ owners: ['ada@example.org'], activation: { consent: 'Ask', deferLimit: '4h' } });
    revision = await publishBuilt(floe, MODULES, marked(freshMarker()));
    const machine = await until('m5 to wait', ({ status }) => status?.waiting?.reason === 'WaitingForUser');
    expect(machine.status?.attempt?.phase).toBe('Fetched');
    expect(machine.status?.waiting?.message).toMatch(/yes of its users \(ada@example\.org\).*floe-agent approve on m5/);
    expect(condition(machine, 'Ready')?.message).toContain('waits for a yes of its users');
    await until('the question to be known', ({ status }) => status?.consent?.state === 'Asked');
    const runs = async () =>
      (await floe.kubectl('get', 'nixmachines', '-o', 'jsonpath={.items[*].status.current.revision}')).split(' ');
    await waitUntil(async () => (await runs()).filter((one) => one === revision).length === 4, {
      what: 'the other four',
    });
    expect((await read()).status?.current?.revision).toBe(before);
    const events = await floe.kubectl('get', 'events', '--field-selector', 'reason=WaitingForUser', '-o', 'json');
    expect(events).toContain('ada@example.org');
  });

  test('who is not in the group is told so; who is may look and put it off', async () => {
    const stranger = await as('eve', 'approve');
    expect([stranger.code, stranger.said]).toEqual([1, expect.stringContaining('not in the group floe-users')]);
    expect((await as('ada', 'status')).said).toContain('waits for your yes: floe-agent approve');
    expect(await as('ada', 'defer', '1h')).toMatchObject({ code: 0, said: expect.stringContaining('Put off until') });
    await until(
      'the deferral in the reason',
      ({ status }) => status?.waiting?.message.includes('put off until') === true,
    );
    expect((await read()).status?.consent?.state).toBe('Deferred');
  });

  test('a yes lets it go', async () => {
    const answer = await waitUntil(
      async () => {
        const answered = await as('ada', 'approve');
        return answered.said.startsWith('Not so fast') ? undefined : answered;
      },
      { what: 'the machine to take another answer', everySeconds: 1 },
    );
    expect(answer).toMatchObject({ code: 0, said: expect.stringContaining('Approved') });
    await waitDone(floe, revision);
    const machine = await until('m5 to wait no more', ({ status }) => status?.waiting === undefined);
    expect(machine.status?.consent?.state).toBe('Approved');
    expect((await as('ada', 'approve')).said).toContain('Nothing waits for your answer');
  });

  test('a user takes the machine back, and it is left alone', async () => {
    expect(await as('ada', 'rollback')).toMatchObject({ code: 0, said: expect.stringContaining('Going back to') });
    const machine = await until('m5 to run what it ran before', ({ status }) => status?.current?.revision === before);
    expect(machine.status?.desired?.revision).toBe(revision);
    await until('the hold to be reported', ({ status }) => status?.held !== undefined);
  });
});
