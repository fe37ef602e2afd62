// The holes that deploy-rs left, each as a test of the same name on a real machine; the issues are those of github.com/serokell/deploy-rs.
import type { NixMachine, NixMachineSpec } from '@floe/crds/nix-machine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Closures } from '../bed/machine.ts';
import { laneInstallation } from '../runner/lane.ts';
import { Apart } from '../src/apart.ts';
import { askHub } from '../src/ask-hub.ts';
import { Forgery } from '../src/forgery.ts';
import type { Installation } from '../src/installation.ts';
import { condition } from '../src/observe.ts';
import type { Probe } from '../src/probe.ts';

const NAME = 'scenario-deploy-rs';
/** Switching takes long enough to pull a plug meanwhile. */
const SLOW = '{ test.activationSeconds = 3; }';
const CONFIRM_TIMEOUT = '5s';

type Activation = NonNullable<NixMachineSpec['activation']>;
type Given = { readonly probe: Probe; readonly closure: string; readonly before: Closures };

let apart: Apart;
let floe: Installation;
let forgery: Forgery;
let built = 0;

beforeAll(async () => {
  floe = await laneInstallation();
  // A config whose Rollout tells nobody, so that nobody is tried again but when a test says so.
  apart = await Apart.take(floe, NAME, {});
  forgery = new Forgery(floe, NAME);
});
afterAll(async () => {
  // What a test that failed has left.
  await (await floe.machine('m1')).tryExec(['sh', '-c', '[ ! -e /run/hosts ] || cat /run/hosts > /etc/hosts']);
  await (await floe.machine('m3')).tryExec(['umount', '/nix/var/nix/profiles']);
  await apart?.giveBack();
  await (await floe.machine('m4')).tryExec(['systemctl', 'stop', 'by-hand']);
});

/** A machine, what it runs, and a new closure with this module in its store, signed by the fleet's key. */
async function given(name: string, module: string, activation: Activation = {}): Promise<Given> {
  const probe = await apart.probe(name);
  built += 1;
  const closure = await forgery.build(name, `deploy-rs ${built} ${Date.now()}`, module);
  await forgery.plant(probe.machine, closure, floe.key.secret);
  await apart.activation(name, { drift: 'Report', ...activation });
  return { probe, closure, before: await probe.closures() };
}

/** Waits until the API says that the attempt of this id has ended, however that is. */
function ended(probe: Probe, id: string): Promise<NixMachine> {
  return probe.untilObject(
    `attempt ${id} to end`,
    ({ status }) => status?.attempt?.desiredId === id && status.attempt.finishedAt !== undefined,
  );
}

/** Orders the closure and takes the hub away in the middle of the switch; returns once the machine asks in vain. */
async function stuckConfirming(probe: Probe, closure: string) {
  const id = await forgery.order(probe, closure);
  const isIt = (step: string) => (attempt: { order: { id: string }; step: string }) =>
    attempt.order.id === id && attempt.step === step;
  await probe.untilAttempt(closure, 'switching', isIt('switch'));
  const early = await askHub(floe, probe, id, closure);
  const fault = await probe.cutOff();
  await probe.untilAttempt(closure, 'confirming', isIt('confirm'));
  return {
    id,
    early,
    reconnect: () => fault.remove(),
    untilDone: () => probe.untilAttempt(closure, 'ended', isIt('done')),
  };
}

const keeps = (closure: string, { booted }: Closures): Closures => ({
  current: closure,
  booted,
  profile: closure,
  bootDefault: closure,
});

/** Everything that Floe says of a machine to people. */
async function allThatIsSaid({ metadata, status }: NixMachine): Promise<string> {
  const about = `involvedObject.name=${metadata.name}`;
  const events = await floe.kubectl('get', 'events', '--field-selector', about, '-o', 'jsonpath={.items[*].message}');
  const conditions = status?.conditions?.map(({ reason, message }) => `${reason}: ${message}`) ?? [];
  return [status?.attempt?.phase, status?.attempt?.message, ...conditions, events].join('\n');
}

describe('one on each machine', () => {
  test.concurrent('(a) the confirmation of an earlier attempt at the same closure confirms no later one (214)', async () => {
    const { probe, closure, before } = await given('m1', SLOW, { confirmTimeout: CONFIRM_TIMEOUT });
    const first = await forgery.order(probe, closure);
    expect((await ended(probe, first)).status?.attempt?.phase).toBe('Committed');
    expect(await probe.closures()).toEqual(keeps(closure, before));
    const away = await forgery.order(probe, before.current);
    expect((await ended(probe, away)).status?.attempt?.phase).toBe('Committed');

    const second = await stuckConfirming(probe, closure);
    expect(second.id).not.toBe(first);
    expect(await askHub(floe, probe, first, closure)).toMatchObject({
      kind: 'denied',
      message: expect.stringContaining(second.id),
    });
    const record = await second.untilDone();
    await second.reconnect();
    expect(record.phase).toBe('Unconfirmed');
    expect(await probe.closures()).toEqual(keeps(before.current, before));
    const object = await ended(probe, second.id);
    expect(object.status?.attempt).toMatchObject({ phase: 'Unconfirmed', to: closure, from: before.current });
    expect(object.status?.current?.closure).toBe(before.current);
    expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'Unconfirmed' });
    expect(object.status?.attempts?.map(({ desiredId, phase }) => [desiredId, phase]).slice(0, 3)).toEqual([
      [second.id, 'Unconfirmed'],
      [away, 'Committed'],
      [first, 'Committed'],
    ]);
  });

  test.concurrent('(b) a confirmation before or after its time does nothing', async () => {
    const { probe, closure, before } = await given('m2', SLOW, { confirmTimeout: CONFIRM_TIMEOUT });
    const attempt = await stuckConfirming(probe, closure);
    // While it still switched, and now again while it asks in vain: only what it hears itself counts.
    expect(attempt.early).toEqual({ kind: 'confirmed' });
    expect(await askHub(floe, probe, attempt.id, closure)).toEqual({ kind: 'confirmed' });
    expect((await attempt.untilDone()).phase).toBe('Unconfirmed');
    await attempt.reconnect();
    expect((await ended(probe, attempt.id)).status?.attempt?.phase).toBe('Unconfirmed');

    await askHub(floe, probe, attempt.id, closure);
    await probe.machine.exec(['systemctl', 'restart', 'floe-agent']);
    const object = await probe.untilObject(
      'it is connected again',
      ({ status }) => status?.connection?.online === true,
    );
    expect(object.status?.attempt).toMatchObject({ desiredId: attempt.id, phase: 'Unconfirmed' });
    expect(object.status?.current?.closure).toBe(before.current);
    expect(await probe.closures()).toEqual(before);
    expect(await probe.armedTimers()).toBe('');
  });

  test.concurrent('(c) a system profile that cannot be set is not taken back one generation too far', async () => {
    const { probe, closure, before } = await given('m3', '{ }');
    const profiles = '/nix/var/nix/profiles';
    const generations = () => probe.machine.sh(`readlink ${profiles}/system; cd ${profiles}; ls -d system-*-link`);
    // One more, so that there is one to go back to too far.
    const earlier = await forgery.order(probe, closure);
    expect((await ended(probe, earlier)).status?.attempt?.phase).toBe('Committed');
    const next = await given('m3', '{ }');
    const had = await generations();
    expect(had.split('\n').length).toBeGreaterThan(3);

    // A file system without room for one more link.
    await probe.machine.sh(`mkdir -p /run/all-profiles; cp -a ${profiles}/. /run/all-profiles
      mount -t tmpfs -o nr_inodes=200 full ${profiles}; cp -a /run/all-profiles/. ${profiles}
      n=0; while touch ${profiles}/full-$n 2>/dev/null; do n=$((n + 1)); done`);
    const id = await forgery.order(probe, next.closure);
    const object = await ended(probe, id);
    const seen = await probe.closures();
    const has = await generations();
    await probe.machine.sh(`umount ${profiles}; rm -rf /run/all-profiles`);

    expect(object.status?.attempt).toMatchObject({ phase: 'RolledBack', to: next.closure, from: closure });
    expect(object.status?.attempt?.message).toContain('The system profile could not be set');
    expect(object.status?.attempt?.message).toContain('No space left on device');
    expect(seen).toEqual(keeps(closure, before));
    expect(has).toBe(had);
    expect(await generations()).toBe(had);
    expect(object.status?.current?.closure).toBe(closure);
    expect(object.status?.bootDefault).toMatchObject({ closure, verified: true });
    expect(await probe.unitState('hello.service')).toBe('active');
  });

  test.concurrent('(d) an old closure without any agent is gone back to all the same (86)', async () => {
    const { probe, closure, before } = await given('m4', '{ test.unitFails = true; }');
    const bare = await forgery.build('m4', `bare ${Date.now()}`, '{ services.floe-agent.enable = false; }');
    await forgery.plant(probe.machine, bare);
    // As on a machine where the agent was never installed: somebody runs it by hand.
    const program = `${before.current}/sw/bin/floe-agent --config /root/floe-agent.json run`;
    await probe.machine.sh(`cp -L /etc/floe-agent.json /root/
      nix-env -p /nix/var/nix/profiles/system --set ${bare}
      ${bare}/bin/switch-to-configuration switch
      systemd-run --quiet --collect --unit=by-hand -p KillMode=mixed -- ${program}`);
    expect(await probe.unitState('floe-agent.service')).not.toBe('active');
    const old = await probe.closures();
    expect(old).toEqual(keeps(bare, before));

    const id = await forgery.order(probe, closure);
    const object = await ended(probe, id);
    expect(object.status?.attempt).toMatchObject({
      phase: 'RolledBack',
      to: closure,
      from: bare,
      failedUnits: ['fails.service'],
    });
    expect(object.status?.current?.closure).toBe(bare);
    expect(await probe.closures()).toEqual(old);
    expect(await probe.unitState('hello.service')).toBe('active');
    expect(await probe.unitState('floe-agent.service')).not.toBe('active');
    expect(await probe.armedTimers()).toBe('');

    await probe.machine.sh(`systemctl stop by-hand; rm /root/floe-agent.json
      nix-env -p /nix/var/nix/profiles/system --set ${before.current}
      ${before.current}/bin/switch-to-configuration switch`);
  });

  test.concurrent('(e) the way back starts again what the failed switch has stopped (68)', async () => {
    const breaks = '{ system.activationScripts.breaks = "systemctl stop remote-login.service; exit 1"; }';
    const { probe, closure, before } = await given('m5', breaks);
    // A unit that is the same in both closures, and that starting multi-user.target does not start.
    await probe.machine.sh(`cd /run/systemd/system; mkdir -p remote.target.wants
      printf '[Unit]\\nDescription=Remote\\n' > remote.target
      printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > remote-login.service
      ln -sf ../remote-login.service remote.target.wants/; systemctl daemon-reload; systemctl start remote.target`);
    expect(await probe.unitState('remote-login.service')).toBe('active');
    const pid = () => probe.machine.exec(['systemctl', 'show', '--value', '--property=MainPID', 'remote-login']);
    const was = await pid();

    const id = await forgery.order(probe, closure);
    const object = await ended(probe, id);
    expect(object.status?.attempt).toMatchObject({ phase: 'RolledBack', to: closure, exitCode: 2 });
    expect(await probe.closures()).toEqual(before);
    expect(await probe.unitState('remote-login.service')).toBe('active');
    expect(await pid()).not.toBe(was);
    expect(await probe.unitState('hello.service')).toBe('active');
    expect(object.status?.failedUnits ?? []).toEqual([]);
  });
});

describe('another on each machine', () => {
  test.concurrent('(f) a reboot is in the path that is confirmed: in vain, and the machine reboots once more (211)', async () => {
    const { probe, closure, before } = await given('m5', '{ }', {
      mode: 'boot',
      reboot: 'WhenRequired',
      confirmTimeout: CONFIRM_TIMEOUT,
    });
    const id = await forgery.order(probe, closure);
    await probe.untilAttempt(closure, 'restarting', ({ step }) => step === 'restart');
    const fault = await probe.cutOff();
    const record = await probe.untilAttempt(closure, 'ended', ({ step }) => step === 'done');
    await fault.remove();
    expect(record.phase).toBe('Unconfirmed');
    await probe.machine.booted();
    expect(await probe.closures()).toEqual({ ...before, booted: before.bootDefault });
    const object = await ended(probe, id);
    const phases = object.status?.attempts?.[0]?.phases?.map(({ phase }) => phase) ?? [];
    expect(phases.filter((phase) => phase === 'Rebooting')).toHaveLength(2);
    expect(phases).toContain('Confirming');
    expect(object.status?.attempt).toMatchObject({ phase: 'Unconfirmed', to: closure });
    expect(object.status?.booted?.closure).toBe(before.bootDefault);
  });

  const atHub = (hub: string) => `{ lib, ... }: { services.floe-agent.settings.hub = lib.mkForce "${hub}"; }`;

  test.concurrent('(g) a closure with another address of the hub is confirmed over that one', async () => {
    const hub = 'https://floe-hub.floe-system.svc.cluster.local:8443';
    const { probe, closure, before } = await given('m1', atHub(hub));
    const id = await forgery.order(probe, closure);
    await probe.untilAttempt(closure, 'begun', ({ step }) => step !== 'fetch');
    // From now on the old name leads nowhere.
    await probe.machine.sh("cp /etc/hosts /run/hosts; echo '127.0.0.1 floe-hub.floe-system.svc' >> /etc/hosts");
    const object = await ended(probe, id);
    const connected = await probe.untilObject('it is connected', ({ status }) => status?.connection?.online === true);
    expect((await probe.machine.exec(['getent', 'ahostsv4', 'floe-hub.floe-system.svc'])).split(/\s/)[0]).toBe(
      '127.0.0.1',
    );
    await probe.machine.sh('cat /run/hosts > /etc/hosts');
    expect(object.status?.attempt).toMatchObject({ phase: 'Committed', to: closure });
    expect(connected.status?.current?.closure).toBe(closure);
    expect(await probe.closures()).toEqual(keeps(closure, before));
  });

  test.concurrent('(g) a closure with an address at which no hub is goes back, and says so over the old one', async () => {
    const hub = 'https://floe-hub.floe-system.svc:9999';
    const { probe, closure, before } = await given('m2', atHub(hub), { confirmTimeout: CONFIRM_TIMEOUT });
    const object = await ended(probe, await forgery.order(probe, closure));
    expect(object.status?.attempt).toMatchObject({ phase: 'Unconfirmed', to: closure, from: before.current });
    expect(object.status?.attempt?.message).toContain('over a new connection');
    expect(object.status?.attempt?.message).toContain(`The machine is back on ${before.current}`);
    expect(await probe.closures()).toEqual(before);
    expect(await probe.armedTimers()).toBe('');
  });

  test.concurrent('(h) nobody says "rolled back" where nothing was (241)', async () => {
    const { probe, closure, before } = await given('m4', '{ system.preSwitchChecks.never = "echo no room; exit 1"; }');
    const since = await probe.object();
    expect(since.status?.attempt?.to).not.toBe(closure);
    await floe.kubectl('delete', 'events', '--field-selector', 'involvedObject.name=m4');
    const object = await ended(probe, await forgery.order(probe, closure));
    expect(await probe.closures()).toEqual(before);
    expect(object.status?.attempt).toMatchObject({ phase: 'Failed', to: closure });
    expect(object.status?.attempt?.message).toContain('Nothing was changed');
    expect(object.status?.attempts?.[0]?.phases?.map(({ phase }) => phase)).not.toContain('RollingBack');
    expect(await allThatIsSaid(object)).not.toMatch(/roll(ed|ing)? ?-?back/i);
    expect((await probe.attempt())?.undone).toBe(false);
  });
});
