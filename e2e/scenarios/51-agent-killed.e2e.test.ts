// The agent is killed with SIGKILL in each phase of its journal: afterwards the machine runs and boots the new closure, or the old one.
// Faults that last hold each phase open until the agent is dead, so nothing here depends on being quick.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Closures } from '../bed/machine.ts';
import { laneInstallation } from '../runner/lane.ts';
import { Apart, type Told } from '../src/apart.ts';
import { condition } from '../src/observe.ts';
import type { Probe } from '../src/probe.ts';

let apart: Apart;

beforeAll(async () => {
  // Switching takes long enough to pull the network's plug meanwhile.
  const slow = '{ test.activationSeconds = 3; }';
  apart = await Apart.take(await laneInstallation(), 'scenario-killed', {
    m1: '{ }',
    m2: slow,
    m3: slow,
    m4: slow,
    m5: slow,
  });
});
afterAll(() => apart?.giveBack());

const everything = (closure: string, booted: string): Closures => ({
  current: closure,
  booted,
  profile: closure,
  bootDefault: closure,
});

/** Kills the agent, and checks that its journal says this phase. */
async function killIn(phase: string, probe: Probe): Promise<void> {
  const attempt = await probe.killAgent();
  expect(attempt?.phase).toBe(phase);
}

/** The machine runs and boots the new closure, nothing would undo it any more, and the API says so. */
async function expectKept(probe: Probe, { closure, before }: Told): Promise<void> {
  const object = await probe.untilEnded(closure, 'Committed');
  expect(await probe.closures()).toEqual(everything(closure, before.booted));
  expect(await probe.armedTimers()).toBe('');
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(object.status?.attempt).toMatchObject({ to: closure, from: before.current });
  expect(object.status?.current?.closure).toBe(closure);
  expect(object.status?.bootDefault).toMatchObject({ closure, verified: true });
  expect(condition(object, 'Ready')?.status).toBe('True');
}

test('killed while it fetches, it fetches on and the closure is kept', async () => {
  const probe = await apart.probe('m1');
  const fault = await probe.cutOff('floe-cache');
  const told = await apart.tell('m1');
  await probe.untilAttempt(told.closure, 'fetching', ({ phase }) => phase === 'Fetching');
  await killIn('Fetching', probe);
  expect(await probe.closures()).toEqual(told.before);
  await fault.remove();
  await expectKept(probe, told);
});

test('killed in the middle of the switch, which ends without it, the closure is kept', async () => {
  const probe = await apart.probe('m2');
  const told = await apart.tell('m2');
  await probe.untilAttempt(told.closure, 'switching', ({ step }) => step === 'switch');
  await killIn('Testing', probe);
  await expectKept(probe, told);
});

/** Brings the machine to where it asks the hub, which it can't reach. */
async function stuckConfirming(
  probe: Probe,
  confirmTimeout: string,
): Promise<{ told: Told; reconnect: () => Promise<void> }> {
  const told = await apart.tell(probe.name, { confirmTimeout });
  await probe.untilAttempt(told.closure, 'switching', ({ step }) => step === 'switch');
  const fault = await probe.cutOff();
  await probe.untilAttempt(told.closure, 'confirming', ({ phase }) => phase === 'Confirming');
  return { told, reconnect: () => fault.remove() };
}

test('killed while it asks the hub for confirmation, it asks again and the closure is kept', async () => {
  const probe = await apart.probe('m3');
  const { told, reconnect } = await stuckConfirming(probe, '30s');
  await killIn('Confirming', probe);
  expect((await probe.closures()).bootDefault).toBe(told.before.bootDefault);
  await reconnect();
  await expectKept(probe, told);
});

test('killed while it writes the boot entry, it writes it and the machine boots the new closure', async () => {
  const probe = await apart.probe('m4');
  const { told, reconnect } = await stuckConfirming(probe, '30s');
  // Somebody else's switch holds the lock: the boot entry can't be written yet.
  const release = await probe.holdSwitchLock();
  await reconnect();
  await probe.untilAttempt(told.closure, 'writing the boot entry', ({ step }) => step === 'boot');
  await killIn('Committing', probe);
  await release();
  await expectKept(probe, told);

  await probe.machine.restart();
  expect(await probe.closures()).toEqual(everything(told.closure, told.closure));
});

test('killed while it rolls back, it rolls back and the machine runs and boots the old closure', async () => {
  const probe = await apart.probe('m5');
  // Once is enough: by itself the Rollout would try again what was not confirmed.
  const { told, reconnect } = await stuckConfirming(probe, '6s');
  await apart.suspend(true);
  const release = await probe.holdSwitchLock();
  await probe.untilAttempt(told.closure, 'rolling back', ({ step }) => step === 'undo-system');
  await killIn('RollingBack', probe);
  await release();
  await probe.untilAttempt(told.closure, 'ended', ({ step }) => step === 'done');
  expect(await probe.closures()).toEqual(told.before);
  expect(await probe.armedTimers()).toBe('');
  await reconnect();
  const object = await probe.untilEnded(told.closure, 'Unconfirmed');
  expect(object.status?.attempt).toMatchObject({ to: told.closure, from: told.before.current });
  expect(object.status?.current?.closure).toBe(told.before.current);
  expect(object.status?.bootDefault?.closure).toBe(told.before.bootDefault);
  expect(object.status?.knownBad ?? []).not.toContain(told.closure);
  expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'Unconfirmed' });
});
