// Health checks against scripted samples of systemd's units.
import { expect, test } from 'vitest';
import type { Clock, HealthQuestion } from '../attempt/ports.ts';
import { runCommand } from './command.ts';
import { checkHealth } from './health.ts';
import { ownNetwork } from './network.ts';
import type { Units } from './unit-checks.ts';
import type { UnitState } from './units.ts';

const unit = (name: string, active: string, sub = active, restarts = 0, exitStatus = 0): UnitState => ({
  name,
  active,
  sub,
  restarts,
  exitStatus,
});
const up = (name: string, restarts = 0) => unit(name, 'active', 'running', restarts);
const failed = (name: string) => unit(name, 'failed', 'failed', 0, 1);
const restarting = (name: string, restarts: number) => unit(name, 'activating', 'auto-restart', restarts, 1);

/** Units over time: one sample for each second, the last one for ever. */
async function judge(timeline: readonly (readonly UnitState[])[], question: Partial<HealthQuestion> = {}) {
  let seconds = 0;
  const clock: Clock = {
    now: () => ({ time: '', monotonicMs: seconds * 1000 }),
    sleep: async (milliseconds) => {
      // Checks run side by side and all sleep: time passes once for all of them.
      seconds += milliseconds / 1000 / (1 + (question.checks?.length ?? 0));
    },
  };
  const now = () => timeline[Math.min(Math.floor(seconds), timeline.length - 1)] ?? [];
  const units: Units = {
    troubled: async () => now().filter((one) => one.active === 'failed' || one.sub === 'auto-restart'),
    states: async (names: readonly string[]) =>
      names.map((name) => now().find((one) => one.name === name) ?? unit(name, 'inactive', 'not-found')),
    off: async (names: readonly string[]) =>
      now().filter((one) => names.includes(one.name) && ['left-off', 'queued'].includes(one.sub)),
  };
  const health = await checkHealth(
    { checks: [], failedBefore: [], activeBefore: [], exitCode: 0, ...question },
    { units, clock, command: runCommand, named: '/nowhere', network: ownNetwork((path) => path) },
    AbortSignal.timeout(5_000),
  );
  return { health, seconds };
}

test('nothing failed: healthy after a few samples', async () => {
  const { health, seconds } = await judge([[up('a.service')]]);
  expect(health.kind).toBe('healthy');
  expect(seconds).toBeLessThan(5);
});

test('a unit that fails and stays so is named with its exit code', async () => {
  const { health, seconds } = await judge([[failed('a.service')]]);
  expect(health).toMatchObject({ kind: 'unhealthy', units: ['a.service'], message: 'a.service failed (exit code 1).' });
  expect(seconds).toBeLessThan(5);
});

test('a unit that had failed before does not count', async () => {
  expect((await judge([[failed('a.service')]], { failedBefore: ['a.service'] })).health.kind).toBe('healthy');
});

test('a unit in mid-restart that comes up is healthy, also after exit code 4', async () => {
  const timeline = [[restarting('a.service', 1)], [restarting('a.service', 1)], [up('a.service', 1)]];
  expect((await judge(timeline, { exitCode: 4 })).health.kind).toBe('healthy');
});

test('a unit that fails over and over is not taken for well between two starts', async () => {
  const timeline = Array.from({ length: 120 }, (_, second) =>
    second % 3 === 0 ? [restarting('a.service', second)] : [up('a.service', second)],
  );
  const { health } = await judge(timeline);
  expect(health).toMatchObject({ kind: 'unhealthy', units: ['a.service'] });
});

test('a unit that fails shortly after the switch is caught', async () => {
  expect((await judge([[up('a.service')], [up('a.service')], [failed('a.service')]])).health.kind).toBe('unhealthy');
});

test('a unit that ran before, is wanted and is off now is bad, also where the switch ended well', async () => {
  const off = unit('web.service', 'inactive', 'left-off');
  const { health } = await judge([[off]], { activeBefore: ['web.service'] });
  expect(health).toMatchObject({
    kind: 'unhealthy',
    units: ['web.service'],
    message: 'web.service is off, though it ran before the switch and is wanted.',
  });
});

test('one that systemd is about to start is waited for', async () => {
  const queued = unit('web.service', 'inactive', 'queued');
  const activeBefore = ['web.service'];
  expect((await judge([[queued], [queued], [up('web.service')]], { activeBefore })).health.kind).toBe('healthy');
  expect((await judge([[queued]], { activeBefore })).health).toMatchObject({ kind: 'unhealthy' });
});

const USER = 'warning: user activation for ann failed';
const NAMED = 'Failed to start web.service';

test.each<{ name: string; question: Partial<HealthQuestion>; now: UnitState[]; kind: string; says: string }>([
  {
    name: 'no unit explains it',
    question: { said: USER },
    now: [],
    kind: 'unhealthy',
    says: `the switch ended with exit code 4: ${USER}`,
  },
  {
    name: 'its unit does not run',
    question: { said: NAMED, blamed: ['web.service'] },
    now: [unit('web.service', 'inactive', 'dead')],
    kind: 'unhealthy',
    says: `the switch ended with exit code 4: ${NAMED}`,
  },
  {
    name: 'its unit runs by now',
    question: { said: NAMED, blamed: ['web.service'] },
    now: [up('web.service')],
    kind: 'healthy',
    says: 'web.service failed at first and runs now',
  },
  {
    name: 'its unit had failed before',
    question: { said: NAMED, blamed: ['web.service'], failedBefore: ['web.service'] },
    now: [failed('web.service')],
    kind: 'healthy',
    says: 'no unit failed',
  },
  { name: 'an older agent kept no words', question: {}, now: [], kind: 'healthy', says: 'no unit failed' },
])('exit code 4, and $name: $kind', async ({ question, now, kind, says }) => {
  const { health } = await judge([now], { exitCode: 4, ...question });
  expect(health.kind).toBe(kind);
  expect(health.checks?.[0]?.message).toContain(says);
});

const check = (timeout?: string) => ({
  checks: [{ name: 'web', systemd: { units: ['web.service'] }, ...(timeout === undefined ? {} : { timeout }) }],
});

test('named units get their time to become active', async () => {
  const timeline = [
    ...Array.from({ length: 20 }, () => [unit('web.service', 'activating', 'start')]),
    [up('web.service')],
  ];
  expect((await judge(timeline, check('30s'))).health.kind).toBe('healthy');
  expect((await judge(timeline, check('10s'))).health).toMatchObject({
    kind: 'unhealthy',
    message: 'Check web: web.service is activating.',
  });
});

test.each([
  { name: 'failed', state: failed('web.service'), says: 'Check web: web.service failed (exit code 1).' },
  { name: 'does not exist', state: up('other.service'), says: 'Check web: web.service does not exist.' },
])('a named unit that $name is not waited for', async ({ state, says }) => {
  const { health, seconds } = await judge([[state]], { ...check('10m'), failedBefore: ['web.service'] });
  expect(health).toMatchObject({ kind: 'unhealthy', message: says });
  expect(seconds).toBeLessThan(10);
});
