// What each way of switch-to-configuration to end badly does to a machine: five closures with a fault each, told at once.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { Apart, type Told } from '../src/apart.ts';
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

let apart: Apart;
const told = new Map<string, Told>();

beforeAll(async () => {
  apart = await Apart.take(await laneInstallation(), 'scenario-exit-codes', FAULTS);
  for (const name of Object.keys(FAULTS)) told.set(name, await apart.tell(name));
});
afterAll(() => apart?.giveBack());

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
