// Attempts that go on across a reboot of the machine: kept after it, or back with one more.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { Apart, type Told } from '../src/apart.ts';

let apart: Apart;
let kept: Told;
let sick: Told;
let inWindow: Told;

beforeAll(async () => {
  const needsBoot = '{ test.initInterfaceVersion = 2; }';
  apart = await Apart.take(await laneInstallation(), 'scenario-reboots', {
    m1: needsBoot,
    m2: '{ test.unitFails = true; }',
    m3: needsBoot,
  });
  kept = await apart.tell('m1', { reboot: 'WhenRequired' });
  sick = await apart.tell('m2', { reboot: 'WhenRequired', mode: 'boot' });
  inWindow = await apart.tell('m3', { reboot: 'InWindow' });
});
afterAll(() => apart?.giveBack());

test('what only a reboot can start (exit code 100) is booted, checked, confirmed and kept in one attempt', async () => {
  const probe = await apart.probe('m1');
  const { closure } = kept;
  const { status } = await probe.untilEnded(closure, 'Committed');
  expect(await probe.closures()).toEqual({ current: closure, booted: closure, profile: closure, bootDefault: closure });
  expect(status?.attempt).toMatchObject({ to: closure, from: kept.before.current, exitCode: 100 });
  expect(status?.attempts?.[0]?.phases?.map(({ phase }) => phase)).toEqual(
    expect.arrayContaining(['Rebooting', 'Testing', 'Confirming', 'Committed']),
  );
  expect(status?.reboot?.required).toBe(false);
  expect(await probe.armedTimers()).toBe('');
});

test('what is sick after its reboot goes back with one more, and the unit is named', async () => {
  const probe = await apart.probe('m2');
  const { closure, before } = sick;
  const { status } = await probe.untilEnded(closure, 'RolledBack');
  expect(await probe.closures()).toEqual({ ...before, booted: before.bootDefault });
  expect(status?.attempt?.failedUnits).toEqual(['fails.service']);
  expect(status?.attempt?.message).toContain('The machine is back on');
  expect(status?.knownBad).toContain(closure);
  const phases = status?.attempts?.[0]?.phases?.map(({ phase }) => phase) ?? [];
  expect(phases.filter((phase) => phase === 'Rebooting')).toHaveLength(2);
});

test('without any window the reboot is allowed at once, and the attempt goes on after it', async () => {
  const probe = await apart.probe('m3');
  await probe.untilEnded(inWindow.closure, 'Committed');
  expect((await probe.closures()).booted).toBe(inWindow.closure);
});
