// Visits over real SSH to a machine in a folder: the whole course, connections that are cut, timers that go off.
import { setTimeout as pause } from 'node:timers/promises';
import type { Step } from '@floe/agent/attempt/record';
import type { DesiredMessage, MachineState } from '@floe/crds/protocol';
import { test as base, describe, expect, vi } from 'vitest';
import { SshConnection, SshError } from './connection.ts';
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
  confirmTimeoutSeconds: 20,
  healthChecks: [],
  substituters: [],
};

/** A visit starts some forty processes, and a busy host starts them slowly. */
const LIMIT_MS = 180_000;

vi.setConfig({ testTimeout: LIMIT_MS, hookTimeout: LIMIT_MS });

/** A test with a machine of its own. They run side by side: a visit mostly waits for processes to start. */
const test = base.extend('machine', async ({ task: _ }, { onCleanup }) => {
  const machine = await LoopbackMachine.start();
  onCleanup(() => machine.stop());
  return machine;
});

/** Visits; returns the last state that was reported. */
async function go(machine: LoopbackMachine, options: Partial<VisitOptions> = {}): Promise<MachineState | undefined> {
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
async function cutAt(machine: LoopbackMachine, step: Step): Promise<void> {
  const leader = new AbortController();
  const onStep = (record: { step: Step }) => {
    if (record.step === step) setImmediate(() => leader.abort(new Error('the leader is gone')));
  };
  await expect(go(machine, { signal: leader.signal, onStep })).rejects.toThrow('the leader is gone');
}

const NEW = { current: 'new', profile: 'new', timers: 0 };
const OLD = { current: 'old', profile: 'old', timers: 0 };

describe.concurrent('visits', () => {
  test('an order is carried out, confirmed over a new connection, and kept', async ({ machine }) => {
    const state = await go(machine);
    expect(state?.attempt).toMatchObject({ phase: 'Committed', from: closure('old'), to: closure('new'), exitCode: 0 });
    expect(state?.current?.closure).toBe(closure('new'));
    expect(await machine.state()).toEqual(NEW);
    expect(await machine.read('var/lib/floe-ssh/confirmed')).toMatch(/^order1-/);
    expect(await machine.read('switched')).toMatch(/^test \S+-new\nboot \S+-new\n$/);
    expect((await go(machine))?.attempt?.phase).toBe('Committed');
    expect(await machine.read('switched'), 'a second visit changes nothing').toMatch(/^test \S+-new\nboot \S+-new\n$/);
  });

  test('without its go it is fetched, and goes on from the journal when the go comes', async ({ machine }) => {
    expect((await go(machine, { desired: () => ({ ...order, go: false }) }))?.attempt?.phase).toBe('Fetched');
    expect(await machine.state()).toEqual(OLD);
    expect((await go(machine))?.attempt?.phase).toBe('Committed');
  });

  test('a closure without signatures is refused, and nothing is changed', async ({ machine }) => {
    await machine.write('unsigned', '');
    const state = await go(machine);
    expect(state?.attempt).toMatchObject({ phase: 'Failed', message: expect.stringContaining('is not signed') });
    expect(await machine.state()).toEqual(OLD);
  });

  test('a switch that fails half-way is undone', async ({ machine }) => {
    await machine.write(`${closure('new')}/exit-code`, '2');
    const state = await go(machine);
    expect(state?.attempt?.phase).toBe('RolledBack');
    expect(state?.attempt?.message).toContain('exit code 2');
    expect(await machine.state()).toEqual(OLD);
  });

  test('the timer has its time counted from the start of systemd, which no daemon-reload changes', async ({
    machine,
  }) => {
    await cutAt(machine, 'switch');
    // systemd has run for 60 s, and a switch of 30 s has a timer of 60 s.
    expect(await machine.timers()).toEqual([expect.stringMatching(/^# --on-startup=120000ms\n/)]);
  });

  test('a systemd that does not say when it was started gets no switch to undo', async ({ machine }) => {
    await machine.write('systemd-started', '0');
    const state = await go(machine);
    expect(state?.attempt?.phase).toBe('Failed');
    expect(state?.attempt?.message).toContain("can't be armed: systemd does not say when it was started (0)");
    expect(state?.attempt?.message).toContain('Nothing was changed');
    expect(await machine.read('switched')).toBe('');
  });

  test('a switch that ends with 11 after it has activated is no taken lock: it is undone', async ({ machine }) => {
    await machine.write(`${closure('new')}/exit-code`, '11');
    const noise = 'web.service reloaded\n'.repeat(10_000);
    const says = `activating the configuration...\n${noise}Unable to list users with logind: no reply\n`;
    await machine.write(`${closure('new')}/says`, says);
    const state = await go(machine);
    expect(state?.attempt).toMatchObject({ phase: 'RolledBack', exitCode: 11 });
    expect(state?.attempt?.message).toContain('half-way (exit code 11: Unable to list users with logind: no reply)');
    expect(await machine.read('switched')).toMatch(/^test \S+-new\ntest \S+-old\n$/);
    expect(await machine.state()).toEqual(OLD);
  });

  test('what is not desired any more is undone', async ({ machine }) => {
    const state = await go(machine, { judge: async () => ({ kind: 'denied', message: 'the order is now another' }) });
    expect(state?.attempt?.phase).toBe('Cancelled');
    expect(await machine.state()).toEqual(OLD);
  });

  test('the network is away in the switch until the timer on the machine goes back: the same visit says so', async ({
    machine,
  }) => {
    await machine.write(`${closure('new')}/seconds`, '1');
    let away = false;
    const dial: typeof SshConnection.open = async (address, signal) => {
      if (away) throw new SshError('unreachable', 'no route');
      return SshConnection.open(address, signal);
    };
    const goBack = async () => {
      await vi.waitFor(async () => expect(await machine.read('switched')).toContain('test '), { timeout: LIMIT_MS });
      away = true;
      machine.cut();
      await vi.waitFor(async () => expect((await machine.state()).current).toBe('new'), { timeout: LIMIT_MS });
      expect(await machine.fire()).toBe(1);
      away = false;
    };
    let back: Promise<void> | undefined;
    const onStep = (record: { step: Step }) => {
      if (record.step === 'switch') back ??= goBack();
    };
    const state = await go(machine, {
      onStep,
      link: { dial, sleep: (ms, signal) => pause(ms / 5, undefined, { signal }) },
    });
    await back;
    expect(state?.attempt).toMatchObject({ phase: 'RolledBack', message: expect.stringContaining('by its own timer') });
    expect(await machine.state()).toEqual(OLD);
  });

  test('a machine that cannot be reached anew is not kept', async ({ machine }) => {
    const dials: unknown[] = [];
    const dial: typeof SshConnection.open = async (address, signal) => {
      dials.push(address);
      if (dials.length > 1) throw new Error('no new connection');
      return SshConnection.open(address, signal);
    };
    const state = await go(machine, { link: { dial }, desired: () => ({ ...order, confirmTimeoutSeconds: 3 }) });
    expect(state?.attempt).toMatchObject({
      phase: 'Unconfirmed',
      message: expect.stringContaining('no new connection'),
    });
    expect(await machine.state()).toEqual(OLD);
  });

  test('another host key is refused before anything is said', async ({ machine }) => {
    const other = {
      ...machine.address,
      hostKey: 'AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    };
    await expect(go(machine, { address: other })).rejects.toMatchObject({
      fault: 'hostKey',
    } satisfies Partial<SshError>);
    expect(await machine.read('var/lib/floe-ssh/journal')).toBe('');
  });

  test('a key that is not known there is refused', async ({ machine }) => {
    const stranger = await LoopbackMachine.start([]);
    try {
      const address = { ...machine.address, privateKey: stranger.address.privateKey };
      await expect(go(machine, { address })).rejects.toMatchObject({ fault: 'login' });
      await expect(go(machine, { address: { ...address, privateKey: 'none' } })).rejects.toMatchObject({
        fault: 'key',
      });
    } finally {
      await stranger.stop();
    }
  });

  test('a machine with an agent is looked at only', async ({ machine }) => {
    await machine.write('units/floe-agent.service', '');
    const report = vi.fn();
    await expect(go(machine, { report })).rejects.toMatchObject({ name: 'NoVisit', reason: 'AgentRuns' });
    expect(report).toHaveBeenCalledWith(expect.objectContaining({ current: { closure: closure('old') } }));
    expect(await machine.state()).toEqual(OLD);
  });

  test('a leader that was replaced can change nothing any more', async ({ machine }) => {
    let second: Promise<unknown> | undefined;
    const first = go(machine, {
      onStep: (record) => {
        if (record.step === 'switch') second ??= go(machine, { desired: () => undefined });
      },
      judge: async () => {
        await second;
        return { kind: 'confirmed' };
      },
    });
    await expect(first).rejects.toThrow('another leader has taken over');
    await second;
  });

  test.for<Step>(['switch', 'confirm'])(
    'the network is cut at %s: it goes on over another connection',
    async (step, { machine }) => {
      let cut = false;
      const onStep = (record: { step: Step }) => {
        if (record.step !== step || cut) return;
        cut = true;
        machine.cut();
      };
      expect((await go(machine, { onStep }))?.attempt?.phase).toBe('Committed');
      expect(await machine.state()).toEqual(NEW);
    },
  );

  test.for<Step>(['arm-switch', 'health', 'profile', 'disarm'])(
    'the leader is gone at %s: the next one goes on from the journal on the machine',
    async (step, { machine }) => {
      await cutAt(machine, step);
      expect((await go(machine))?.attempt?.phase).toBe('Committed');
      expect(await machine.state()).toEqual(NEW);
    },
  );

  test.for<Step>(['arm-health', 'confirm', 'boot'])(
    'the leader is gone at %s and nobody comes: the timer on the machine goes back',
    async (step, { machine }) => {
      await cutAt(machine, step);
      // What the leader had sent may still be under way.
      await pause(1000);
      expect(await machine.fire()).toBe(1);
      expect(await machine.state()).toEqual(OLD);
      expect(['RolledBack', 'Unconfirmed']).toContain((await go(machine))?.attempt?.phase);
      expect(await machine.state()).toEqual(OLD);
    },
  );
});
