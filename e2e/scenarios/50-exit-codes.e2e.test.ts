// What each way of switch-to-configuration to end badly does to a machine: five closures with a fault each, told at once.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { Apart, type Told } from '../src/apart.ts';
import { ByHand } from '../src/by-hand.ts';
import { condition } from '../src/observe.ts';
import type { Probe } from '../src/probe.ts';

const FAULTS = {
  m1: '{ test.activationFails = true; }',
  m2: '{ test.unitFails = true; }',
  m3: '{ test.initInterfaceVersion = 2; }',
  m4: '{ test.bootLoaderFails = true; }',
  m5: '{ system.preSwitchChecks.never = "echo the disk is too small; exit 1"; }',
} as const;
type Name = keyof typeof FAULTS;

const LOGIND = 'test.logind = true;';
const SPEAKS = '{ services.hello.enable = true; services.hello.greeting = "Hello from exit codes"; }';

let apart: Apart;
let byHand: ByHand;
const told = new Map<string, Told>();

beforeAll(async () => {
  const floe = await laneInstallation();
  apart = await Apart.take(floe, 'scenario-exit-codes', FAULTS);
  byHand = await ByHand.begin(floe, apart, 'scenario-exit-codes-by-hand', SPEAKS);
  for (const name of Object.keys(FAULTS)) told.set(name, await apart.tell(name));
});
afterAll(async () => {
  for (const name of ['m1', 'm2']) {
    const probe = await apart?.probe(name);
    await probe?.machine.tryExec(['sh', '-c', `rm -f ${MASK}; systemctl kill -s CONT systemd-logind`]);
  }
  await apart?.giveBack();
});

/** Goes before the units of /etc, and is gone with the next boot. */
const MASK = '/run/systemd/system.control/systemd-logind.service';

async function given(name: Name): Promise<Told & { probe: Probe }> {
  const order = told.get(name);
  if (order === undefined) throw new Error(`${name} was not told`);
  return { ...order, probe: await apart.probe(name) };
}

test('an activation script that fails (exit code 2) is rolled back', async () => {
  const { probe, before, closure } = await given('m1');
  const object = await probe.untilEnded(closure, 'RolledBack');
  const { status } = object;
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await probe.armedTimers()).toBe('');
  expect(status?.attempt).toMatchObject({ to: closure, from: before.current, exitCode: 2 });
  expect(status?.attempt?.message).toContain('The activation script failed (exit code 2');
  expect(status?.current?.closure).toBe(before.current);
  expect(status?.bootDefault).toMatchObject({ closure: before.bootDefault, verified: true });
  expect(status?.knownBad).toContain(closure);
  expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'RolledBack' });
});

test('a unit that fails to start (exit code 4) is rolled back, and the unit is named', async () => {
  const { probe, before, closure } = await given('m2');
  const object = await probe.untilEnded(closure, 'RolledBack');
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await probe.unitState('fails.service')).not.toBe('failed');
  expect(object.status?.attempt).toMatchObject({ to: closure, exitCode: 4, failedUnits: ['fails.service'] });
  expect(object.status?.failedUnits ?? []).toEqual([]);
  expect(condition(object, 'Ready')?.message).toContain('fails.service');
  expect(condition(object, 'Ready')?.message).toContain('journalctl -u fails.service on m2');
});

test('a closure that only a reboot can start (exit code 100) waits for it, says so, and runs after it', async () => {
  const { probe, before, closure } = await given('m3');
  const waiting = await probe.untilEnded(closure, 'RebootRequired');
  expect(await probe.closures()).toEqual({ ...before, profile: closure, bootDefault: closure });
  expect(waiting.status?.attempt).toMatchObject({ to: closure, exitCode: 100 });
  expect(waiting.status?.current?.closure).toBe(before.current);
  expect(waiting.status?.reboot).toMatchObject({ required: true });
  expect(condition(waiting, 'RebootRequired')?.status).toBe('True');
  expect(condition(waiting, 'Ready')?.message).toContain('reboot required');

  await probe.machine.restart();
  expect(await probe.closures()).toEqual({ current: closure, booted: closure, profile: closure, bootDefault: closure });
  const booted = await probe.untilEnded(closure, 'Committed');
  expect(booted.status?.current?.closure).toBe(closure);
  expect(booted.status?.booted?.closure).toBe(closure);
  expect(booted.status?.reboot?.required).toBe(false);
  expect(condition(booted, 'RebootRequired')?.status).toBe('False');
});

test('a boot loader that fails at the commit gives back system, profile and boot entry', async () => {
  const { probe, before, closure } = await given('m4');
  const object = await probe.untilEnded(closure, 'RolledBack');
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await probe.armedTimers()).toBe('');
  expect(object.status?.attempt).toMatchObject({ to: closure });
  expect(object.status?.attempt?.message).toContain('The boot entry could not be written');
  expect(object.status?.bootDefault).toMatchObject({ closure: before.bootDefault, verified: true });

  await probe.machine.restart();
  expect(await probe.closures()).toEqual({ ...before, booted: before.bootDefault });
});

test('a pre-switch check that fails changes nothing, and the attempt has failed', async () => {
  const { probe, before, closure } = await given('m5');
  const pid = await probe.agentPid();
  const object = await probe.untilEnded(closure, 'Failed');
  expect(await probe.closures()).toEqual(before);
  expect(await probe.agentPid()).toBe(pid);
  expect(object.status?.attempt).toMatchObject({ to: closure, exitCode: 1 });
  expect(object.status?.attempt?.message).toContain('Nothing was changed');
  expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'Failed' });
  expect(condition(object, 'Stalled')?.status).toBe('True');
});

test('logind that does not answer (exit code 11 after the activation) is no taken lock: it is rolled back', async () => {
  const silent = {
    m1: `mkdir -p "$(dirname ${MASK})"; ln -s /dev/null ${MASK}; systemctl daemon-reload; systemctl stop systemd-logind`,
    m2: 'systemctl kill -s STOP systemd-logind',
  };
  const back = Object.entries(silent).map(async ([name, silence]) => {
    const kept = await byHand.order(name, `{ ${LOGIND} }`);
    await kept.probe.untilEnded(kept.closure, 'Committed');
    await kept.probe.machine.sh(silence);
    const { probe, closure, before } = await byHand.order(
      name,
      `{ lib, ... }: { ${LOGIND} services.hello.greeting = lib.mkForce "no logind"; }`,
    );
    const object = await probe.untilEnded(closure, 'RolledBack');
    expect(object.status?.attempt).toMatchObject({ exitCode: 11 });
    expect(object.status?.attempt?.message).toContain(
      'The switch failed half-way (exit code 11: Unable to list users with logind',
    );
    expect(await probe.closures()).toEqual(before);
    expect(await probe.unitState('hello.service')).toBe('active');
    expect(await probe.armedTimers()).toBe('');
    expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'RolledBack' });
  });
  await Promise.all(back);
});

test('a wanted service that ran and did not start again (exit code 4, no unit has failed) is rolled back', async () => {
  const missing = '{ systemd.services.hello = { requires = [ "absent.service" ]; after = [ "absent.service" ]; }; }';
  const { probe, closure, before } = await byHand.order('m4', missing, { healthChecks: [] });
  const object = await probe.untilEnded(closure, 'RolledBack');
  expect(object.status?.attempt).toMatchObject({ exitCode: 4, failedUnits: ['hello.service'] });
  expect(object.status?.attempt?.message).toContain(
    'hello.service is off, though it ran before the switch and is wanted',
  );
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
});

test('a closure that would take the agent away is refused before the switch, and told how to bring it', async () => {
  const without = '{ lib, ... }: { services.floe-agent.enable = lib.mkForce false; }';
  const { probe, closure, before } = await byHand.order('m5', without);
  const pid = await probe.agentPid();
  const object = await probe.untilEnded(closure, 'Failed');
  expect(object.status?.attempt?.message).toContain('services.floe-agent.enable = true');
  expect(object.status?.attempt?.message).toContain('Nothing was changed');
  expect(await probe.closures()).toEqual(before);
  expect(await probe.agentPid()).toBe(pid);
});
