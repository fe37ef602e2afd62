// The agent against a hub over real sockets, with a machine in memory: orders, reports, confirmations, refusals.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { orderFor } from './attempt/model.fixture.ts';
import type { Clock } from './attempt/ports.ts';
import { newAttempt } from './attempt/record.ts';
import { A, B, C, desired, ScriptedHub } from './hub/scripted-hub.fixture.ts';
import { withAttempt } from './journal/journal.ts';
import { realClock } from './real-clock.ts';
import type { Behaviour } from './simulated/simulated-machine.ts';
import { SimulatedAgent, type SimulatedAgentOptions } from './simulated-agent.ts';

let hub: ScriptedHub;
let ended: Promise<void>[] = [];
let stop = new AbortController();

beforeEach(async () => {
  hub = await ScriptedHub.start();
  stop = new AbortController();
  ended = [];
});

afterEach(async () => {
  stop.abort();
  await Promise.all(ended);
  await hub.stop();
});

const quick: Behaviour = { fetchMs: 1, switchMs: 1, healthMs: 1 };

function agent(change: Partial<Behaviour> = {}, options: Partial<SimulatedAgentOptions> = {}): SimulatedAgent {
  return new SimulatedAgent({
    hub: hub.url,
    tls: hub.tls,
    namespace: 'shop',
    machine: 'web-01',
    closure: A,
    behaviour: (closure) => (closure === A ? quick : { ...quick, ...change }),
    ...options,
  });
}

function run(one: SimulatedAgent): SimulatedAgent {
  ended.push(one.run(stop.signal));
  return one;
}

const reaches = (phase: string, id = 'order-1') =>
  hub.until(phase, () => hub.attempt?.desiredId === id && hub.attempt.phase === phase);

test('an order is carried out, confirmed over a connection of its own, and reported to its end', async () => {
  hub.desired = desired();
  const { machine } = run(agent());
  await reaches('Committed');
  expect([machine.current, machine.profile, machine.bootDefault]).toEqual([B, B, B]);
  expect(hub.confirms).toEqual([{ attempt: 'order-1', closure: B }]);
  expect(hub.hellos.map(({ hello }) => hello.purpose)).toEqual(['session', 'confirm']);
  expect(hub.reports.at(-1)).toMatchObject({
    sequence: 1,
    current: { closure: B },
    attempt: { from: A, to: B, exitCode: 0 },
  });
});

test('the machine is told that nothing is in hand, after the start and after an attempt', async () => {
  let told = 0;
  const sleepShort: Clock['sleep'] = (ms, signal) => realClock.sleep(ms === 30_000 ? 1 : ms, signal);
  const one = agent({}, { clock: { ...realClock, sleep: sleepShort } });
  Object.assign(one.machine, {
    async rested() {
      told += 1;
    },
  });
  run(one);
  await hub.until('rest', () => told === 1);
  await hub.until('session', () => hub.session !== undefined);
  hub.tell(desired());
  await reaches('Committed');
  await hub.until('rest again', () => told === 2);
});

test.each<{ name: string; change: Partial<Behaviour>; phase: string; says: string }>([
  {
    name: 'a failed unit',
    change: { health: { kind: 'unhealthy', units: ['web.service'], message: 'web.service failed (exit code 1).' } },
    phase: 'RolledBack',
    says: 'web.service failed',
  },
  { name: 'a failed activation', change: { testExitCode: 2 }, phase: 'RolledBack', says: 'activation script' },
  { name: 'a failed boot entry', change: { bootExitCode: 1 }, phase: 'RolledBack', says: 'boot entry' },
  { name: 'a refusal', change: { testExitCode: 1 }, phase: 'Failed', says: 'Nothing was changed' },
  {
    name: 'no signature',
    change: { fetched: { kind: 'refused', message: 'Not signed.' } },
    phase: 'Failed',
    says: 'Not signed. Nothing was changed.',
  },
])('$name ends $phase on the old closure', async ({ change, phase, says }) => {
  hub.desired = desired();
  const { machine } = run(agent(change));
  await reaches(phase);
  expect(hub.attempt?.message).toContain(says);
  expect([machine.current, machine.profile, machine.bootDefault]).toEqual([A, A, A]);
});

test('a hub that wants it no more undoes it', async () => {
  hub.desired = desired();
  hub.answer = (attempt) => ({ type: 'denied', attempt, reason: 'Superseded', message: 'another order' });
  const { machine } = run(agent());
  await reaches('Cancelled');
  expect(machine.current).toBe(A);
});

test('a hub that does not answer undoes it, and it is not called bad', async () => {
  hub.desired = desired({ confirmTimeoutSeconds: 1 });
  hub.greet = ({ hello, say }) => {
    if (hello.purpose === 'confirm') return;
    say({ type: 'welcome', version: 1, replica: 'hub-0', heartbeatSeconds: 1 });
    say(desired({ confirmTimeoutSeconds: 1 }));
  };
  const { machine } = run(agent());
  await reaches('Unconfirmed');
  expect(machine.current).toBe(A);
});

test('a confirmation for another attempt is none', async () => {
  hub.desired = desired({ confirmTimeoutSeconds: 1 });
  hub.answer = () => ({ type: 'confirmed', attempt: 'order-0' });
  run(agent());
  await reaches('Unconfirmed');
});

test('a confirmation that comes early does nothing', async () => {
  hub.desired = desired({ confirmTimeoutSeconds: 1 });
  hub.answer = () => undefined;
  const { machine } = run(agent({ switchMs: 200 }));
  await reaches('Testing');
  hub.session?.say({ type: 'confirmed', attempt: 'order-1' });
  await reaches('Unconfirmed');
  expect(machine.current).toBe(A);
});

test('a confirmation that comes late does nothing', async () => {
  hub.desired = desired({ confirmTimeoutSeconds: 1 });
  hub.answer = () => undefined;
  const { machine } = run(agent());
  await reaches('Unconfirmed');
  hub.session?.say({ type: 'confirmed', attempt: 'order-1' });
  await hub.until('the next session', () => hub.hellos.filter(({ hello }) => hello.purpose === 'session').length >= 2);
  expect([machine.current, machine.bootDefault]).toEqual([A, A]);
  expect(hub.attempt?.phase).toBe('Unconfirmed');
});

test('a confirmation of the same closure for an earlier attempt is none for the one in hand', async () => {
  hub.desired = desired();
  const { machine } = run(agent());
  await reaches('Committed');
  hub.tell(desired({ id: 'order-2', sequence: 2, closure: A }));
  await reaches('Committed', 'order-2');
  hub.answer = () => ({ type: 'confirmed', attempt: 'order-1' });
  hub.tell(desired({ id: 'order-3', sequence: 3, confirmTimeoutSeconds: 1 }));
  await reaches('Unconfirmed', 'order-3');
  expect([machine.current, machine.bootDefault]).toEqual([A, A]);
});

test('a confirmation that comes twice is one', async () => {
  hub.desired = desired();
  hub.answer = (attempt) => {
    hub.hellos.at(-1)?.say({ type: 'confirmed', attempt });
    return { type: 'confirmed', attempt };
  };
  const { journal } = run(agent());
  await reaches('Committed');
  expect(journal.journal.ended).toEqual([]);
});

test('what was rolled back is not tried again until somebody retries', async () => {
  hub.desired = desired({ reason: 'Rollout' });
  const { machine } = run(agent({ testExitCode: 2 }));
  await reaches('RolledBack');
  hub.tell(desired({ id: 'order-2', sequence: 2, reason: 'Rollout' }));
  await reaches('Failed', 'order-2');
  expect(hub.attempt?.message).toContain('until somebody retries');
  hub.tell(desired({ id: 'order-3', sequence: 3, reason: 'Retry' }));
  await reaches('RolledBack', 'order-3');
  expect(machine.current).toBe(A);
  expect(hub.reports.at(-1)?.attempts?.map(({ desiredId, phase }) => [desiredId, phase])).toEqual([
    ['order-3', 'RolledBack'],
    ['order-2', 'Failed'],
    ['order-1', 'RolledBack'],
  ]);
});

test('in a window: it waits with its boot entry written, restarts when it may, and is kept after the boot', async () => {
  hub.desired = desired({ mode: 'boot', rebootPolicy: 'InWindow' });
  const { machine } = run(agent({}, { reboots: true }));
  await reaches('RebootRequired');
  expect([machine.current, machine.bootDefault]).toEqual([A, B]);
  expect(hub.confirms).toEqual([]);
  hub.tell(desired({ mode: 'boot', rebootPolicy: 'InWindow', reboot: true, sequence: 2 }));
  await reaches('Committed');
  expect([machine.current, machine.booted, machine.bootDefault]).toEqual([B, B, B]);
  expect(hub.confirms).toEqual([{ attempt: 'order-1', closure: B }]);
});

test('root at the console takes the place of an attempt that waits for its window', async () => {
  hub.desired = desired({ mode: 'boot', rebootPolicy: 'InWindow' });
  const { machine, journal } = run(agent({}, { reboots: true, watchSeconds: 0.05 }));
  await reaches('RebootRequired');
  const { attempt } = journal.journal;
  if (attempt === undefined) throw new Error('there is no attempt');
  // As floe-agent apply leaves it.
  machine.bootDefault = A;
  machine.profile = A;
  journal.journal = withAttempt(journal.journal, { ...attempt, step: 'done', phase: 'Cancelled', message: 'By hand.' });
  await reaches('Cancelled');
  expect([machine.current, machine.bootDefault]).toEqual([A, A]);
});

test('another order while it waits for its window: the boot entry goes back first', async () => {
  hub.desired = desired({ mode: 'boot', rebootPolicy: 'InWindow' });
  const { machine, journal } = run(agent({}, { reboots: true }));
  await reaches('RebootRequired');
  hub.tell(desired({ id: 'order-2', sequence: 2, closure: C }));
  await reaches('Committed', 'order-2');
  expect([machine.current, machine.bootDefault]).toEqual([C, C]);
  expect(journal.journal.ended.map(({ order, phase }) => [order.id, phase])).toEqual([['order-1', 'Cancelled']]);
});

test('without go it fetches and waits; with go it goes on', async () => {
  hub.desired = desired({ go: false });
  const { machine } = run(agent());
  await reaches('Fetched');
  await sleep(50);
  expect(machine.current).toBe(A);
  hub.tell(desired({ go: true, sequence: 2, mode: 'test' }));
  await reaches('Committed');
  expect([machine.current, machine.bootDefault]).toEqual([B, A]);
  expect(hub.reports.at(-1)?.sequence).toBe(2);
});

test('another order takes the place of one that has not begun', async () => {
  hub.desired = desired({ go: false });
  const { journal } = run(agent());
  await reaches('Fetched');
  hub.tell(desired({ id: 'order-2', sequence: 2, closure: C }));
  await reaches('Committed', 'order-2');
  expect(journal.journal.ended.map(({ order, phase }) => [order.id, phase])).toEqual([['order-1', 'Cancelled']]);
});

test('another order waits for one that switches', async () => {
  hub.desired = desired();
  const { machine, journal } = run(agent({ switchMs: 200 }));
  await reaches('Testing');
  hub.tell(desired({ id: 'order-2', sequence: 2, closure: C }));
  await reaches('Committed', 'order-2');
  expect(machine.current).toBe(C);
  expect(journal.journal.ended.map(({ order, phase }) => [order.id, phase])).toEqual([['order-1', 'Committed']]);
});

test.each([
  { name: 'a lower sequence', change: { id: 'order-0', sequence: 4, closure: C } },
  { name: 'the same sequence for another order', change: { id: 'order-0', sequence: 5, closure: C } },
  { name: 'the same id for another closure at the same sequence', change: { sequence: 5, closure: C } },
])('$name is refused', async ({ change }) => {
  hub.desired = desired({ sequence: 5 });
  const { machine } = run(agent());
  await reaches('Committed');
  hub.tell(desired(change));
  await sleep(100);
  expect(machine.current).toBe(B);
  expect(hub.reports.at(-1)?.sequence).toBe(5);
});

test('a higher sequence for what was carried out is stored, and nothing is done again', async () => {
  hub.desired = desired();
  const { journal } = run(agent());
  await reaches('Committed');
  hub.tell(desired({ sequence: 9 }));
  await hub.until('sequence 9', () => journal.journal.sequence === 9);
  expect(hub.confirms).toHaveLength(1);
});

test('the way back is a higher sequence with the old closure', async () => {
  hub.desired = desired();
  const { machine } = run(agent());
  await reaches('Committed');
  hub.tell(desired({ id: 'order-2', sequence: 2, closure: A }));
  await reaches('Committed', 'order-2');
  expect([machine.current, machine.bootDefault]).toEqual([A, A]);
});

test('what was not acknowledged is reported again after a reconnect', async () => {
  hub.acks = false;
  hub.desired = desired();
  const { machine } = run(agent());
  await hub.until('the switch', () => machine.bootDefault === B);
  // A report does not wait for the acknowledgement of the one before.
  expect(hub.reports.length).toBeGreaterThan(1);
  hub.acks = true;
  hub.session?.socket.terminate();
  await reaches('Committed');
});

test('an attempt that a crash left in the middle is gone on with', async () => {
  const first = agent();
  const order = { ...orderFor({ mode: 'switch', confirm: 'hub' }), closure: B, switchTimeoutSeconds: 10 };
  const before = { system: A, profile: A, failedUnits: [], bootId: 'boot-1', program: ['x'] };
  const record = {
    ...newAttempt(order, '2026-01-01T00:00:00Z'),
    step: 'health',
    phase: 'Testing',
    before,
    systemTouched: true,
  } as const;
  first.journal.journal = withAttempt(first.journal.journal, record);
  first.machine.current = B;
  run(first);
  await reaches('Committed', 'order-1');
  expect(first.machine.bootDefault).toBe(B);
});

test.each([
  { name: 'no JSON', send: '{' },
  { name: 'an unknown type', send: '{"type":"reboot"}' },
  { name: 'a closure that is none', send: JSON.stringify(desired({ closure: '/etc/passwd' })) },
  { name: 'a second challenge', send: JSON.stringify({ type: 'challenge', nonce: 'a'.repeat(44), versions: [1] }) },
])('$name from the hub ends the connection with a reason, and the agent comes again', async ({ send }) => {
  const { machine } = run(agent());
  await hub.until('the session', () => hub.session !== undefined);
  hub.session?.socket.send(send);
  await hub.until('the close', () => hub.closeCodes.includes(1008));
  await hub.until('the next session', () => hub.hellos.length >= 2);
  expect(machine.current).toBe(A);
});

test('a refusal is retried not before the time it names', async () => {
  const at: number[] = [];
  hub.greet = ({ say }) => {
    at.push(performance.now());
    say({ type: 'refused', reason: 'NotReady', message: 'soon', retryAfterSeconds: 1 });
  };
  run(agent());
  await hub.until('two tries', () => at.length >= 2);
  expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(990);
});

test('a hub with a certificate of somebody else is not talked to', async () => {
  const stranger = await ScriptedHub.start();
  const failed = new Promise<string>((resolve) => {
    const log = { info: () => undefined, error: () => undefined, warn: resolve };
    run(agent({}, { tls: stranger.tls, log }));
  });
  expect(await failed).toContain('certificate');
  expect(hub.hellos).toHaveLength(0);
  await stranger.stop();
});

test('forty agents share one process', async () => {
  hub.desired = desired();
  const agents = Array.from({ length: 40 }, (_, index) => run(agent({}, { machine: `m-${index}` })));
  await hub.until('all of them', () => agents.every(({ machine }) => machine.bootDefault === B));
  expect(new Set(hub.hellos.map(({ hello }) => hello.machine)).size).toBe(40);
});

test('an order far ahead of the clock is refused, said so, and does not make the machine deaf', async () => {
  hub.desired = desired({ id: 'order-9', sequence: Number.MAX_SAFE_INTEGER });
  const { machine } = run(agent());
  await hub.until('the refusal', () => hub.reports.at(-1)?.refused?.id === 'order-9');
  expect(hub.reports.at(-1)).toMatchObject({
    sequence: 0,
    refused: { message: expect.stringContaining("more than a day ahead of the machine's clock") },
  });
  expect(machine.current).toBe(A);
  hub.tell(desired({ sequence: 3 }));
  await reaches('Committed');
  expect(hub.reports.at(-1)?.refused).toBeUndefined();
});
