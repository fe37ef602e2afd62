// Visits over real SSH to a machine in a folder: the whole course, connections that are cut, timers that go off.
import { setTimeout as pause } from 'node:timers/promises';
import type { Step } from '@floe/agent/attempt/record';
import type { DesiredMessage, MachineState } from '@floe/crds/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { SshError } from './connection.ts';
import { closure, LoopbackMachine } from './machine.fixture.ts';
import { type VisitOptions, visit } from './visit.ts';

const order: DesiredMessage = {
  type: 'desired',
  id: 'order1',
  sequence: 1,
  revision: 'abcdefabcdef',
  closure: closure('new'),
  go: true,
  mode: 'switch',
  switchTimeoutSeconds: 30,
  confirmTimeoutSeconds: 5,
  healthChecks: [],
  substituters: [],
};

/** A visit starts some forty processes, and a busy host starts them slowly. */
const LIMIT_MS = 180_000;

vi.setConfig({ testTimeout: LIMIT_MS, hookTimeout: LIMIT_MS });

let machine: LoopbackMachine;
beforeEach(async () => {
  machine = await LoopbackMachine.start();
});
afterEach(() => machine.stop());

/** Visits; returns the last state that was reported. */
async function go(options: Partial<VisitOptions> = {}): Promise<MachineState | undefined> {
  let last: MachineState | undefined;
  await visit({
    address: machine.address,
    desired: () => order,
    report: (state) => {
      last = state;
    },
    judge: async () => ({ kind: 'confirmed' }),
    warn: () => undefined,
    signal: AbortSignal.timeout(LIMIT_MS),
    sleep: (ms, signal) => pause(ms / 50, undefined, { signal }),
    ...options,
  });
  return last;
}

/** A visit that ends for good when its journal says this step. */
async function cutAt(step: Step): Promise<void> {
  const leader = new AbortController();
  const onStep = (record: { step: Step }) => {
    if (record.step === step) setImmediate(() => leader.abort(new Error('the leader is gone')));
  };
  await expect(go({ signal: leader.signal, onStep })).rejects.toThrow('the leader is gone');
}

const NEW = { current: 'new', profile: 'new', timers: 0 };
const OLD = { current: 'old', profile: 'old', timers: 0 };

test('an order is carried out, confirmed over a new connection, and kept', async () => {
  const state = await go();
  expect(state?.attempt).toMatchObject({ phase: 'Committed', from: closure('old'), to: closure('new'), exitCode: 0 });
  expect(state?.current?.closure).toBe(closure('new'));
  expect(await machine.state()).toEqual(NEW);
  expect(await machine.read('var/lib/floe-ssh/confirmed')).toMatch(/^order1-/);
  expect(await machine.read('switched')).toMatch(/^test \S+-new\nboot \S+-new\n$/);
  expect((await go())?.attempt?.phase).toBe('Committed');
  expect(await machine.read('switched'), 'a second visit changes nothing').toMatch(/^test \S+-new\nboot \S+-new\n$/);
});

test('without its go it is fetched, and goes on from the journal when the go comes', async () => {
  expect((await go({ desired: () => ({ ...order, go: false }) }))?.attempt?.phase).toBe('Fetched');
  expect(await machine.state()).toEqual(OLD);
  expect((await go())?.attempt?.phase).toBe('Committed');
});

test('a closure without signatures is refused, and nothing is changed', async () => {
  await machine.write('unsigned', '');
  const state = await go();
  expect(state?.attempt).toMatchObject({ phase: 'Failed', message: expect.stringContaining('is not signed') });
  expect(await machine.state()).toEqual(OLD);
});

test('a switch that fails half-way is undone', async () => {
  await machine.write(`${closure('new')}/exit-code`, '2');
  const state = await go();
  expect(state?.attempt?.phase).toBe('RolledBack');
  expect(state?.attempt?.message).toContain('exit code 2');
  expect(await machine.state()).toEqual(OLD);
});

test('what is not desired any more is undone', async () => {
  const state = await go({ judge: async () => ({ kind: 'denied', message: 'the order is now another' }) });
  expect(state?.attempt?.phase).toBe('Cancelled');
  expect(await machine.state()).toEqual(OLD);
});

test('a machine that cannot be reached anew is not kept', async () => {
  const dials: unknown[] = [];
  const { SshConnection } = await import('./connection.ts');
  const dial: typeof SshConnection.open = async (address, signal) => {
    dials.push(address);
    if (dials.length > 1) throw new Error('no new connection');
    return SshConnection.open(address, signal);
  };
  const state = await go({ link: { dial }, desired: () => ({ ...order, confirmTimeoutSeconds: 3 }) });
  expect(state?.attempt).toMatchObject({ phase: 'Unconfirmed', message: expect.stringContaining('no new connection') });
  expect(await machine.state()).toEqual(OLD);
});

test('another host key is refused before anything is said', async () => {
  const other = { ...machine.address, hostKey: 'AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' };
  await expect(go({ address: other })).rejects.toMatchObject({ fault: 'hostKey' } satisfies Partial<SshError>);
  expect(await machine.read('var/lib/floe-ssh/journal')).toBe('');
});

test('a key that is not known there is refused', async () => {
  const stranger = await LoopbackMachine.start([]);
  try {
    const address = { ...machine.address, privateKey: stranger.address.privateKey };
    await expect(go({ address })).rejects.toMatchObject({ fault: 'login' });
    await expect(go({ address: { ...address, privateKey: 'none' } })).rejects.toMatchObject({ fault: 'key' });
  } finally {
    await stranger.stop();
  }
});

test('a machine with an agent is looked at only', async () => {
  await machine.write('units/floe-agent.service', '');
  const said: string[] = [];
  await go({ warn: (message) => said.push(message) });
  expect(said.join()).toContain('floe-agent runs on this machine');
  expect(await machine.state()).toEqual(OLD);
});

test('a leader that was replaced can change nothing any more', async () => {
  let second: Promise<unknown> | undefined;
  const first = go({
    onStep: (record) => {
      if (record.step === 'switch') second ??= go({ desired: () => undefined });
    },
    judge: async () => {
      await second;
      return { kind: 'confirmed' };
    },
  });
  await expect(first).rejects.toThrow('another leader has taken over');
  await second;
});

test.each<Step>(['switch', 'confirm'])('the network is cut at %s: it goes on over another connection', async (step) => {
  let cut = false;
  const onStep = (record: { step: Step }) => {
    if (record.step !== step || cut) return;
    cut = true;
    machine.cut();
  };
  expect((await go({ onStep }))?.attempt?.phase).toBe('Committed');
  expect(await machine.state()).toEqual(NEW);
});

test.each<Step>(['arm-switch', 'health', 'profile', 'disarm'])(
  'the leader is gone at %s: the next one goes on from the journal on the machine',
  async (step) => {
    await cutAt(step);
    expect((await go())?.attempt?.phase).toBe('Committed');
    expect(await machine.state()).toEqual(NEW);
  },
);

test.each<Step>(['arm-health', 'confirm', 'boot'])(
  'the leader is gone at %s and nobody comes: the timer on the machine goes back',
  async (step) => {
    await cutAt(step);
    // What the leader had sent may still be under way.
    await pause(1000);
    expect(await machine.fire()).toBe(1);
    expect(await machine.state()).toEqual(OLD);
    expect(['RolledBack', 'Unconfirmed']).toContain((await go())?.attempt?.phase);
    expect(await machine.state()).toEqual(OLD);
  },
);
