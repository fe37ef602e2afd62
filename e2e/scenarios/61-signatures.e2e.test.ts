// A machine runs only what a key that it trusts has signed, whoever orders it and wherever it lies.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeSigningKey } from '../bed/fleet.ts';
import { laneInstallation } from '../runner/lane.ts';
import { Apart } from '../src/apart.ts';
import { Forgery } from '../src/forgery.ts';
import type { Installation } from '../src/installation.ts';
import { condition } from '../src/observe.ts';
import type { Probe } from '../src/probe.ts';

const NAME = 'scenario-trust';

let floe: Installation;
let apart: Apart;
let forgery: Forgery;
let foreign: string;

beforeAll(async () => {
  floe = await laneInstallation();
  // A config whose Rollout tells nobody: the orders are forged.
  apart = await Apart.take(floe, NAME, {});
  forgery = new Forgery(floe, NAME);
  foreign = (await makeSigningKey('somebody-else-1')).secret;
});
afterAll(() => apart?.giveBack());

/** Orders the closure and expects that it is refused before anything is touched. Returns the message. */
async function expectRefused(probe: Probe, closure: string): Promise<string> {
  const before = await probe.closures();
  const agent = await probe.agentPid();
  const id = await forgery.order(probe, closure);
  const object = await probe.untilEnded(closure, 'Failed');
  expect(object.status?.attempt?.desiredId).toBe(id);
  expect(await probe.closures()).toEqual(before);
  expect(await probe.agentPid()).toBe(agent);
  const journal = await probe.attempt();
  // Not even a timer was armed, and switch-to-configuration was never started.
  expect(journal).toMatchObject({ phase: 'Failed', armed: 0, run: 0, systemTouched: false, bootTouched: false });
  expect(object.status?.current?.closure).toBe(before.current);
  expect(condition(object, 'Ready')).toMatchObject({ status: 'False', reason: 'Failed' });
  const message = object.status?.attempt?.message ?? '';
  expect(message).toContain(closure);
  // The agent's own configuration names the keys here, so those of Nix do not count.
  expect(message).toContain('to services.floe-agent.trustedPublicKeys.');
  expect(message).toContain('status.cache.publicKey');
  expect(message).toContain('Nothing was changed');
  return message;
}

test('an unsigned closure is refused, though it lies in the own store of the machine', async () => {
  const probe = await apart.probe('m1');
  const closure = await forgery.build('m1', `unsigned ${Date.now()}`);
  await forgery.plant(probe.machine, closure);
  expect(await expectRefused(probe, closure)).toContain('it has no signature');
});

test('a closure signed by another key is refused, though it lies in the own store of the machine', async () => {
  const probe = await apart.probe('m2');
  const closure = await forgery.build('m2', `foreign ${Date.now()}`);
  await forgery.plant(probe.machine, closure, foreign);
  const message = await expectRefused(probe, closure);
  expect(message).toContain('it is signed by somebody-else-1');
});

test('a closure signed by another key is refused when it comes from the cache', async () => {
  const probe = await apart.probe('m3');
  const closure = await forgery.build('m3', `foreign in the cache ${Date.now()}`);
  await forgery.upload(await forgery.pack(closure, foreign));
  await expectRefused(probe, closure);
  expect((await probe.machine.tryExec(['test', '-e', closure])).code).not.toBe(0);
});

test('a closure whose narinfo was tampered with is refused: the signature is not for these contents', async () => {
  const probe = await apart.probe('m4');
  const closure = await forgery.build('m4', `honest ${Date.now()}`);
  const honest = await forgery.pack(closure, floe.key.secret);
  const lighter = honest.narinfo.replace(/^(References: )\S+ /m, '$1');
  expect(lighter).not.toBe(honest.narinfo);
  await forgery.upload({ ...honest, narinfo: lighter });
  await expectRefused(probe, closure);
  expect((await probe.machine.tryExec(['test', '-e', closure])).code).not.toBe(0);
});

test('the same order is carried out when a key that the machine trusts has signed the closure', async () => {
  const probe = await apart.probe('m5');
  const closure = await forgery.build('m5', `signed ${Date.now()}`);
  await forgery.plant(probe.machine, closure, floe.key.secret);
  const before = await probe.closures();
  await forgery.order(probe, closure);
  await probe.untilEnded(closure, 'Committed');
  expect(await probe.closures()).toEqual({
    current: closure,
    profile: closure,
    bootDefault: closure,
    booted: before.booted,
  });
});
