// The ways to bring a closure other than a plain switch: a specialisation, a boot where the running system forbids the switch, modes boot and test, laptops without a network, a store or a /boot without room.
import type { NixConfig } from '@floe/crds/nix-config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Closures } from '../bed/machine.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { Apart } from '../src/apart.ts';
import { ByHand } from '../src/by-hand.ts';
import type { Installation } from '../src/installation.ts';
import { addRoute, bootWithoutNetwork, dropRoute, giveNetworkBack } from '../src/network-of.ts';
import { condition, type Fleet, waitForFleet } from '../src/observe.ts';
import type { Probe } from '../src/probe.ts';
import { freshMarker } from '../src/scene.ts';
import { giveBootBack, sealBoot, shrinkBoot } from '../src/small-boot.ts';
import { giveStoreBack, growStore, shrinkStore } from '../src/small-store.ts';

const NAME = 'scenario-modes';
const COMMON = '{ services.hello.enable = true; }';
const QUIET = 'specialisation.quiet.configuration.systemd.services.quiet.script = "exec sleep infinity";';
const PAYLOAD_MIB = 64;
const RESERVE_MIB = 512;

let apart: Apart;
let floe: Installation;
let byHand: ByHand;

beforeAll(async () => {
  floe = await laneInstallation();
  apart = await Apart.take(floe, NAME, {});
  byHand = await ByHand.begin(floe, apart, 'scenario-by-hand', COMMON);
});
afterAll(async () => {
  await giveNetworkBack(await floe.machine('m4'));
  await giveBootBack(await floe.machine('m3')).catch(() => undefined);
  await giveStoreBack(await floe.machine('m5')).catch(() => undefined);
  await apart?.giveBack();
});

const all = (closure: string): Closures => ({
  current: closure,
  booted: closure,
  profile: closure,
  bootDefault: closure,
});

/** That the API calls the machine ready, without drift, on that closure. */
async function untilReady(probe: Probe, closure: string) {
  const object = await probe.untilObject(
    `it is ready on ${closure}`,
    (machine) =>
      machine.status?.current?.closure === closure &&
      machine.status.connection?.online === true &&
      condition(machine, 'Ready')?.status === 'True',
  );
  expect(object.status?.drift).toBeUndefined();
  expect(object.status?.reboot?.undoes ?? false).toBe(false);
  return object;
}

describe.concurrent('each on a machine of its own', () => {
  test('a specialisation is tested from its path, boots from its closure, and is never drift', async () => {
    const { probe, closure, before } = await byHand.order('m1', `{ ${QUIET} }`, { specialisation: 'quiet' });
    const ended = await probe.untilEnded(closure, 'Committed');
    const special = await probe.machine.readLink(`${closure}/specialisation/quiet`);
    expect(special).toMatch(/^\/nix\/store\//);
    expect(await probe.closures()).toEqual({ ...all(closure), current: special, booted: before.booted });
    expect(await probe.unitState('quiet.service')).toBe('active');
    expect(ended.status?.attempt?.to).toBe(closure);
    const runs = await untilReady(probe, closure);
    const quiet = { closure, specialisation: 'quiet' };
    expect(runs.status).toMatchObject({ current: quiet, bootDefault: { closure, verified: true } });
    expect(runs.status?.bootDefault?.specialisation).toBeUndefined();
    expect(condition(runs, 'Drifted')?.status).toBe('False');

    await probe.machine.restart();
    expect(await probe.closures()).toEqual(all(closure));
    expect(await probe.unitState('quiet.service')).toBe('inactive');
    await probe.untilObject('the closure was booted', ({ status }) => status?.booted?.closure === closure);
    expect((await untilReady(probe, closure)).status?.current?.specialisation).toBeUndefined();

    // Somebody takes it in the boot menu, for good.
    await probe.machine.sh("sed -i 's/\\.conf$/-specialisation-quiet.conf/' /boot/loader/loader.conf");
    await probe.machine.restart();
    expect(await probe.closures()).toEqual({ ...all(special ?? ''), profile: closure });
    await probe.untilObject('it was booted', ({ status }) => status?.booted?.specialisation === 'quiet');
    const chosen = await untilReady(probe, closure);
    expect(chosen.status).toMatchObject({ current: quiet, booted: quiet, bootDefault: quiet });

    const other = await byHand.order('m1', `{ ${QUIET} }`, { specialisation: 'loud' });
    const failed = await probe.untilEnded(other.closure, 'Failed');
    expect(failed.status?.attempt?.message).toBe(`${other.closure} has no specialisation loud. Nothing was changed.`);
    expect(await probe.closures()).toEqual(other.before);
  });

  test('switch-inhibitors that differ turn a switch into a boot, say why, and the restart brings it', async () => {
    const with_ = (value: string) => `{ system.switch.inhibitors.dbus = "${value}"; }`;
    const first = await byHand.order('m2', with_('one'));
    const { probe } = first;
    await probe.untilEnded(first.closure, 'Committed');

    const why = 'the running system forbids the switch (switch-inhibitors: dbus).';
    const tested = await byHand.order('m2', with_('two'), { mode: 'test' });
    const refused = await probe.untilEnded(tested.closure, 'Failed');
    expect(refused.status?.attempt?.message).toContain('(switch-inhibitors: dbus). Use mode switch or boot.');
    expect(await probe.closures()).toEqual(tested.before);

    const second = await byHand.order('m2', with_('two'));
    const waits = await probe.untilEnded(second.closure, 'RebootRequired');
    expect(waits.status?.attempt?.message).toContain(why);
    expect(waits.status?.attempt?.exitCode).toBeUndefined();
    expect(condition(waits, 'RebootRequired')?.status).toBe('True');
    const { closure } = second;
    expect(await probe.closures()).toEqual({ ...second.before, profile: closure, bootDefault: closure });
    await probe.machine.restart();
    expect(await probe.closures()).toEqual(all(closure));
    const booted = await probe.untilEnded(closure, 'Committed');
    expect(booted.status?.attempt?.message).toContain(why);
    expect(booted.status?.reboot?.required).toBe(false);
    await untilReady(probe, closure);

    const third = await byHand.order('m2', with_('three'), { reboot: 'WhenRequired' });
    const crossed = await probe.untilEnded(third.closure, 'Committed');
    expect(await probe.closures()).toEqual(all(third.closure));
    expect(crossed.status?.attempt?.message).toContain(why);
    expect(crossed.status?.attempts?.[0]?.phases?.map(({ phase }) => phase)).toContain('Rebooting');
  });

  test('mode boot waits for a restart, mode test ends with one, a /boot without room is waited for, and one that cannot be written costs no restart', async () => {
    const boot = await byHand.order('m3', '{ }', { mode: 'boot' });
    const { probe, closure } = boot;
    const waits = await probe.untilEnded(closure, 'RebootRequired');
    expect(await probe.closures()).toEqual({ ...boot.before, profile: closure, bootDefault: closure });
    expect(condition(waits, 'RebootRequired')?.status).toBe('True');
    await probe.machine.restart();
    await probe.untilEnded(closure, 'Committed');
    expect(await probe.closures()).toEqual(all(closure));
    await untilReady(probe, closure);

    const tested = await byHand.order('m3', '{ }', { mode: 'test' });
    const runs = await probe.untilEnded(tested.closure, 'Committed');
    expect(runs.status?.attempt?.message).toBe('It runs until the next boot.');
    expect(await probe.closures()).toEqual({ ...all(closure), current: tested.closure });
    await untilReady(probe, tested.closure);
    await probe.machine.restart();
    expect(await probe.closures()).toEqual(all(closure));
    const undone = await probe.untilObject(
      'the restart ended the test',
      (machine) => condition(machine, 'Ready')?.reason === 'Diverged',
    );
    expect(condition(undone, 'Ready')?.message).toMatch(/^was restarted, which ended mode test of .*: runs .* again/);
    expect(undone.status).toMatchObject({ current: { closure }, bootDefault: { closure } });
    expect(undone.status?.drift).toBeUndefined();
    expect(undone.status?.knownBad ?? []).not.toContain(tested.closure);

    // A /boot that is full: its loader could not copy the kernel.
    await shrinkBoot(probe.machine, 4);
    const before = await probe.closures();
    const kernel = await byHand.order('m3', '{ boot.kernelVersion = "6.12.99"; }');
    const full = await probe.untilObject('there is no room', ({ status }) =>
      /no room/.test(status?.attempt?.message ?? ''),
    );
    expect(full.status?.attempt).toMatchObject({ to: kernel.closure, phase: 'Fetching' });
    expect(full.status?.attempt?.message).toMatch(
      /it needs \d+ B in \/boot, (4|3\.9) MiB are free there and 8 MiB must stay free; lower configurationLimit/,
    );
    expect(await probe.closures()).toEqual(before);
    await shrinkBoot(probe.machine, 16);
    await probe.untilEnded(kernel.closure, 'Committed');
    expect(await probe.closures()).toMatchObject({ current: kernel.closure, bootDefault: kernel.closure });
    await giveBootBack(probe.machine);

    // One that can't be written, at the commit and on the way back: the old closure comes back live, without a restart.
    await probe.machine.sh('touch /run/not-restarted');
    await sealBoot(probe.machine);
    const sealed = await byHand.order('m3', '{ }');
    const live = await probe.untilEnded(sealed.closure, 'RolledBack');
    expect(await probe.closures()).toEqual(sealed.before);
    expect(live.status?.attempt?.message).toMatch(/^The boot entry could not be written \(exit code 1: .*Read-only/);
    expect(live.status?.attempt?.message).toContain(`The machine is back on ${kernel.closure}.`);
    await probe.machine.sh('test -e /run/not-restarted');
    expect(await probe.unitState('hello.service')).toBe('active');
    await giveBootBack(probe.machine);
  });

  test('a laptop: what was confirmed stays through three boots without a network', async () => {
    await giveNetworkBack(await floe.machine('m4'));
    const { probe, closure } = await byHand.order('m4', '{ }', { confirm: 'WhenOnline' });
    await probe.untilEnded(closure, 'Committed');
    for (let boot = 1; boot <= 3; boot++) {
      await bootWithoutNetwork(probe.machine);
      await waitUntil(async () => /connect|hub/.test(await agentLog(probe)), {
        what: `the agent to miss its hub after boot ${boot}`,
        explain: () => agentLog(probe),
      });
      expect(await probe.closures()).toEqual(all(closure));
      expect(await probe.attempt()).toMatchObject({ step: 'done', phase: 'Committed', order: { closure } });
    }
    await giveNetworkBack(probe.machine);
    const back = await untilReady(probe, closure);
    expect(back.status?.attempt).toMatchObject({ to: closure, phase: 'Committed' });

    // It loses the network with the switch: the switch may be what took it.
    const lost = await byHand.order('m4', '{ test.activationSeconds = 2; }', {
      confirm: 'WhenOnline',
      confirmTimeout: '8s',
    });
    await probe.untilAttempt(lost.closure, 'switching', ({ step }) => step === 'switch');
    await dropRoute(probe.machine);
    await probe.untilAttempt(lost.closure, 'ended', ({ step }) => step === 'done');
    expect(await probe.closures()).toEqual(lost.before);
    await addRoute(probe.machine);
    const undone = await probe.untilEnded(lost.closure, 'Unconfirmed');
    expect(undone.status?.current?.closure).toBe(closure);
    expect(undone.status?.knownBad ?? []).not.toContain(lost.closure);

    // It has lost it before the switch: its own checks suffice.
    await probe.machine.tryExec(['systemctl', 'stop', 'hold-lock.service']);
    const release = await probe.holdSwitchLock();
    const alone = await byHand.order('m4', '{ }', { confirm: 'WhenOnline', confirmTimeout: '30s' });
    await probe.untilAttempt(alone.closure, 'waiting for the lock', ({ lockTries }) => lockTries > 0);
    await dropRoute(probe.machine);
    await probe.untilAttempt(alone.closure, 'without a route', ({ before }) => before?.online === false);
    await release();
    const kept = await probe.untilAttempt(alone.closure, 'ended', ({ step }) => step === 'done');
    expect(kept).toMatchObject({ phase: 'Committed', message: expect.stringContaining('has no route to anywhere') });
    await addRoute(probe.machine);
    const said = await untilReady(probe, alone.closure);
    expect(said.status?.attempt).toMatchObject({ to: alone.closure, phase: 'Committed', message: kept.message });
  });

  test('a store without room: nothing is fetched, how much is needed and where is said, and with room it goes on', async () => {
    const probe = await apart.probe('m5');
    await giveStoreBack(probe.machine);
    await shrinkStore(probe.machine, RESERVE_MIB + 16);
    const before = await probe.closures();
    const marker = freshMarker();
    const module = `{ ${QUIET} test.marker = "${marker}"; test.payloadMiB = ${PAYLOAD_MIB}; }`;
    const { commit } = await floe.publishBeside(NAME, { m5: module }, COMMON);
    await floe.kubectl('annotate', '--overwrite', 'nixconfig', NAME, `floe.dev/reconcile=${marker}`);
    const { configs } = await waitForFleet(floe, 'the large closure to be built', (fleet) => {
      const config = scenarioConfig(fleet);
      const isThat = config?.status?.revision?.source?.endsWith(commit.slice(0, 7)) === true;
      return isThat && condition(config, 'Ready')?.status === 'True';
    });
    const revision = scenarioConfig({ configs })?.status?.revision?.id;
    await apart.tell('m5', { specialisation: 'quiet' });
    const told = await probe.untilObject('it is told', ({ status }) => status?.desired?.revision === revision);
    const closure = told.status?.desired?.closure ?? '';
    const full = await probe.untilObject('there is no room', ({ status }) =>
      /no room/.test(status?.attempt?.message ?? ''),
    );
    expect(full.status?.attempt).toMatchObject({ to: closure, phase: 'Fetching' });
    expect(condition(full, 'Ready')?.message).toMatch(
      /^fetching: There is no room for the closure, it is tried again: it needs 6\d(\.\d)? MiB in \/nix, \d+ MiB are free there and 512 MiB must stay free; run nix-collect-garbage/,
    );
    expect(await probe.closures()).toEqual(before);
    expect((await probe.machine.tryExec(['ls', closure])).code).not.toBe(0);

    await growStore(probe.machine, 256);
    const ended = await probe.untilEnded(closure, 'Committed');
    expect(ended.status?.current).toMatchObject({ closure, specialisation: 'quiet' });
    await giveStoreBack(probe.machine);
    expect(await probe.machine.sh(`test -s ${closure}/payload/data && nix-store --verify-path ${closure}`)).toBe('');
    await untilReady(probe, closure);
  });
});

function scenarioConfig({ configs }: Pick<Fleet, 'configs'>): NixConfig | undefined {
  return configs.find(({ metadata }) => metadata.name === NAME);
}

/** What the agent has said since the machine was booted. */
function agentLog(probe: Probe): Promise<string> {
  return probe.machine.sh('journalctl -u floe-agent --no-pager -o cat');
}
