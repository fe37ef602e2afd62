// Outages that must roll back nobody: the API server is down when machines confirm, the hub is away when one has been confirmed.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { Apart, type Told } from '../src/apart.ts';
import type { Installation } from '../src/installation.ts';
import { condition } from '../src/observe.ts';

let apart: Apart;
let floe: Installation;

beforeAll(async () => {
  floe = await laneInstallation();
  const slow = '{ test.activationSeconds = 8; }';
  apart = await Apart.take(floe, 'scenario-outages', {
    m1: slow,
    m2: slow,
    m3: slow,
    m4: slow,
    m5: '{ test.activationSeconds = 3; }',
  });
});
afterAll(() => apart?.giveBack());

const kept = (closure: string, { before }: Told) => ({
  current: closure,
  booted: before.booted,
  profile: closure,
  bootDefault: closure,
});

test('while the API server is down machines are confirmed all the same, nobody rolls back, and all is told later', async () => {
  const names = ['m1', 'm2', 'm3', 'm4'];
  const told = await Promise.all(
    names.map(async (name) => ({ name, probe: await apart.probe(name), ...(await apart.tell(name)) })),
  );
  await Promise.all(
    told.map(({ probe, closure }) => probe.untilAttempt(closure, 'switching', ({ step }) => step === 'switch')),
  );
  await floe.cluster.stopApiServer('KILL');
  // None was through before the API server was gone.
  for (const { probe } of told) expect((await probe.attempt())?.phase).toBe('Testing');
  for (const one of told) {
    const ended = await one.probe.untilAttempt(one.closure, 'ended', ({ step }) => step === 'done');
    expect(ended.phase).toBe('Committed');
    expect(await one.probe.closures()).toEqual(kept(one.closure, one));
  }
  await floe.cluster.startApiServer();
  for (const one of told) {
    const object = await one.probe.untilEnded(one.closure, 'Committed', { timeoutSeconds: 120 });
    expect(object.status?.bootDefault).toMatchObject({ closure: one.closure, verified: true });
    expect(condition(object, 'Ready')?.status).toBe('True');
  }
});

test('a machine that loses the hub after its confirmation keeps the closure, and reports it when the hub is back', async () => {
  const probe = await apart.probe('m5');
  const told = await apart.tell('m5');
  const { closure } = told;
  await probe.untilAttempt(closure, 'switching', ({ step }) => step === 'switch');
  const early = await probe.cutOff();
  await probe.untilAttempt(closure, 'confirming', ({ phase }) => phase === 'Confirming');
  // Somebody else's switch holds the lock, so that it is confirmed but not done.
  const release = await probe.holdSwitchLock();
  await early.remove();
  await probe.untilAttempt(closure, 'writing the boot entry', ({ step }) => step === 'boot');
  const late = await probe.cutOff();
  await release();
  const ended = await probe.untilAttempt(closure, 'ended', ({ step }) => step === 'done');
  expect(ended.phase).toBe('Committed');
  expect(await probe.closures()).toEqual(kept(closure, told));
  expect((await probe.object()).status?.attempt?.finishedAt).toBeUndefined();

  await late.remove();
  const object = await probe.untilEnded(closure, 'Committed', { timeoutSeconds: 120 });
  expect(object.status?.attempt?.finishedAt).toBe(ended.finishedAt);
  expect(object.status?.current?.closure).toBe(closure);
  expect(object.status?.bootDefault?.closure).toBe(closure);
});
