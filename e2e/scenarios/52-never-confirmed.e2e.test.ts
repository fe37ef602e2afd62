// What was never confirmed does not last: power cuts, a hub out of reach, an agent that does not start, a switch that hangs, mode test.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { Apart, type Told } from '../src/apart.ts';
import { condition } from '../src/observe.ts';

let apart: Apart;
/** Its timer takes 45 s to go off: it is told first and looked at last. */
let withoutAgent: Told;
let stopReloading: () => Promise<void>;

beforeAll(async () => {
  // Switching takes long enough to pull a plug meanwhile.
  const slow = '{ test.activationSeconds = 3; }';
  apart = await Apart.take(await laneInstallation(), 'scenario-unconfirmed', {
    m1: slow,
    m2: slow,
    m3: '{ test.agentFails = true; }',
    m4: '{ test.activationSeconds = 300; }',
    m5: '{ }',
  });
  stopReloading = await (await apart.probe('m3')).keepReloading();
  withoutAgent = await apart.tell('m3');
});
afterAll(() => apart?.giveBack());

test('a machine whose power is cut before it is confirmed boots the old closure, and the API says so', async () => {
  const probe = await apart.probe('m1');
  const { closure, before } = await apart.tell('m1');
  await apart.suspend(true);
  await probe.untilAttempt(closure, 'switching', ({ step }) => step === 'switch');
  const fault = await probe.cutOff();
  await probe.untilAttempt(closure, 'confirming', ({ phase }) => phase === 'Confirming');
  expect((await probe.closures()).current).toBe(closure);
  await probe.machine.kill();
  await fault.remove();
  await probe.machine.start();
  expect(await probe.closures()).toEqual({ ...before, booted: before.bootDefault });

  const object = await probe.untilEnded(closure, 'Unconfirmed');
  expect(object.status?.attempt?.message).toContain('restarted before the new closure was kept');
  expect(object.status?.current?.closure).toBe(before.current);
  expect(object.status?.booted?.closure).toBe(before.bootDefault);
  expect(object.status?.bootDefault?.closure).toBe(before.bootDefault);
  expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'Unconfirmed' });
  expect(await probe.unitState('hello.service')).toBe('active');
  await apart.suspend(false);
});

test('a machine that cannot reach the hub to confirm rolls back by itself, reports it later, and is tried again', async () => {
  const probe = await apart.probe('m2');
  const { closure, before } = await apart.tell('m2', { confirmTimeout: '4s' });
  await apart.suspend(true);
  await probe.untilAttempt(closure, 'switching', ({ step }) => step === 'switch');
  const fault = await probe.cutOff();
  await probe.untilAttempt(closure, 'confirming', ({ phase }) => phase === 'Confirming');
  const ended = await probe.untilAttempt(closure, 'ended', ({ step }) => step === 'done');
  expect(ended.phase).toBe('Unconfirmed');
  // Nobody has told it to: the hub is still out of reach.
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await probe.armedTimers()).toBe('');
  expect((await probe.object()).status?.attempt?.phase).not.toBe('Unconfirmed');

  await fault.remove();
  const object = await probe.untilEnded(closure, 'Unconfirmed');
  expect(object.status?.attempt?.message).toContain('within 4 s');
  expect(object.status?.current?.closure).toBe(before.current);
  expect(object.status?.knownBad ?? []).not.toContain(closure);

  await apart.activation('m2', {});
  await apart.suspend(false);
  const again = await probe.untilEnded(closure, 'Committed');
  expect(again.status?.attempt?.desiredId).not.toBe(object.status?.attempt?.desiredId);
  expect(await probe.closures()).toEqual({
    current: closure,
    profile: closure,
    bootDefault: closure,
    booted: before.booted,
  });
});

test('a switch that hangs is ended at spec.activation.timeout and rolled back', async () => {
  const probe = await apart.probe('m4');
  const { closure, before } = await apart.tell('m4', { timeout: '10s' });
  const object = await probe.untilEnded(closure, 'RolledBack');
  expect(object.status?.attempt?.message).toContain('not done after 10 s');
  expect(await probe.closures()).toEqual(before);
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await probe.machine.tryExec(['pgrep', '-f', 'sleep 300'])).toMatchObject({ code: 1 });
  expect(object.status?.knownBad).toContain(closure);
});

test('mode test lasts until the next boot, and the API says then that the old closure runs', async () => {
  const probe = await apart.probe('m5');
  const { closure, before } = await apart.tell('m5', { mode: 'test' });
  const tested = await probe.untilEnded(closure, 'Committed');
  expect(await probe.closures()).toEqual({ ...before, current: closure });
  expect(tested.status?.current?.closure).toBe(closure);
  expect(tested.status?.bootDefault).toMatchObject({ closure: before.bootDefault, verified: true });
  expect(condition(tested, 'Ready')?.status).toBe('True');

  await probe.machine.restart();
  expect(await probe.closures()).toEqual({ ...before, booted: before.bootDefault });
  const back = await probe.untilObject(
    'the old closure runs',
    ({ status }) => status?.current?.closure === before.current,
  );
  expect(back.status?.booted?.closure).toBe(before.bootDefault);
  expect(condition(back, 'Ready')).toMatchObject({ status: 'False', reason: 'Diverged' });
  expect(condition(back, 'Ready')?.message).toContain('was restarted, which ended mode test');
  expect(condition(back, 'UpToDate')?.status).toBe('False');
});

test('a closure whose agent does not start is undone by the timer of the old one, though systemd is reloaded each second', async () => {
  const probe = await apart.probe('m3');
  const { closure, before } = withoutAgent;
  const object = await probe.untilEnded(closure, 'RolledBack', { timeoutSeconds: 120 });
  await stopReloading();
  expect(await probe.closures()).toEqual(before);
  expect(object.status?.attempt?.message).toContain('its agent did not start');
  expect(object.status?.current?.closure).toBe(before.current);
  expect(object.status?.knownBad).toContain(closure);
  expect(await probe.unitState('floe-agent.service')).toBe('active');
  expect(await probe.unitState('hello.service')).toBe('active');
  expect(await probe.armedTimers()).toBe('');
});
