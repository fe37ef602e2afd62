// Confirmations that are late, early, repeated or foreign do nothing: the machine keeps only what was confirmed to it, in time, for this attempt.
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubMessage } from '@floe/crds/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SimulatedAgent } from '../simulated-agent.ts';
import { A, B, desired, ScriptedHub } from './scripted-hub.fixture.ts';

const yes = (attempt = 'order-1'): HubMessage => ({ type: 'confirmed', attempt });
const order = (change: Parameters<typeof desired>[0] = {}) => desired({ confirmTimeoutSeconds: 1, ...change });
let hub: ScriptedHub;
let stop: AbortController;
let ended: Promise<void>;

beforeEach(async () => {
  hub = await ScriptedHub.start();
  stop = new AbortController();
  ended = Promise.resolve();
});
afterEach(async () => {
  stop.abort();
  await ended;
  await hub.stop();
});

function run(): SimulatedAgent {
  const agent = new SimulatedAgent({
    hub: hub.url,
    tls: hub.tls,
    namespace: 'shop',
    machine: 'web-01',
    closure: A,
    behaviour: () => ({ fetchMs: 1, switchMs: 1, healthMs: 1 }),
  });
  ended = agent.run(stop.signal);
  return agent;
}
const reaches = (phase: string, id = 'order-1') =>
  hub.until(phase, () => hub.attempt?.desiredId === id && hub.attempt.phase === phase);
/** What the machine runs, keeps and boots. */
const runs = ({ machine }: SimulatedAgent) => [machine.current, machine.profile, machine.bootDefault];

test('a late confirmation does nothing: what was undone stays undone', async () => {
  hub.desired = order();
  hub.answer = () => undefined;
  const agent = run();
  await reaches('Unconfirmed');
  for (const { hello, say } of hub.hellos) if (hello.purpose === 'confirm') say(yes());
  await sleep(100);
  expect([hub.attempt?.phase, ...runs(agent)]).toEqual(['Unconfirmed', A, A, A]);
});

test('a late confirmation in the session ends it, and does nothing', async () => {
  hub.desired = order();
  hub.answer = () => undefined;
  const agent = run();
  await reaches('Unconfirmed');
  hub.session?.say(yes());
  await hub.until('the close', () => hub.closeCodes.includes(1008));
  await hub.until('the next session', () => hub.hellos.filter(({ hello }) => hello.purpose === 'session').length > 1);
  expect(runs(agent)).toEqual([A, A, A]);
});

test('an early confirmation does nothing: the machine asks all the same', async () => {
  hub.answer = () => undefined;
  const agent = run();
  await hub.until('the session', () => hub.session !== undefined);
  hub.session?.say(yes());
  await hub.until('the close', () => hub.closeCodes.includes(1008));
  hub.desired = order();
  await reaches('Unconfirmed');
  expect(hub.confirms.length).toBeGreaterThan(0);
  expect(runs(agent)).toEqual([A, A, A]);
});

test('an early confirmation on the connection that asks, before the question, does nothing', async () => {
  hub.desired = order();
  hub.answer = () => undefined;
  hub.greet = ({ hello, say }) => {
    if (hello.purpose === 'confirm') say(yes());
    else {
      say({ type: 'welcome', version: 1, replica: 'hub-0', heartbeatSeconds: 1 });
      say(order());
    }
  };
  const agent = run();
  await reaches('Unconfirmed');
  expect(hub.confirms).toEqual([]);
  expect(runs(agent)).toEqual([A, A, A]);
});

test('a repeated confirmation does nothing: it is kept once', async () => {
  hub.desired = order();
  hub.answer = (attempt) => {
    hub.hellos.findLast(({ hello }) => hello.purpose === 'confirm')?.say(yes(attempt));
    return yes(attempt);
  };
  const agent = run();
  await reaches('Committed');
  await sleep(50);
  expect(hub.phases('order-1').filter((phase) => phase === 'Committed')).toHaveLength(1);
  expect([hub.confirms.length, ...runs(agent)]).toEqual([1, B, B, B]);
});

test('a foreign confirmation does nothing: that of another attempt, at the same closure', async () => {
  hub.desired = order();
  hub.answer = () => yes('order-2');
  const agent = run();
  await reaches('Unconfirmed');
  expect(runs(agent)).toEqual([A, A, A]);
});

test('a confirmation of the attempt before is none for the retry at the same closure', async () => {
  hub.desired = order();
  hub.answer = () => undefined;
  const agent = run();
  await reaches('Unconfirmed');
  hub.answer = () => yes('order-1');
  hub.tell(order({ id: 'order-1b', sequence: 2 }));
  await reaches('Unconfirmed', 'order-1b');
  expect(runs(agent)).toEqual([A, A, A]);
  hub.answer = (attempt) => yes(attempt);
  hub.tell(order({ id: 'order-1c', sequence: 3 }));
  await reaches('Committed', 'order-1c');
  expect(runs(agent)).toEqual([B, B, B]);
});
