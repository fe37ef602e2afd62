// `offline: Skip`: who was passed over and who returned, in the status, in the metrics, and after a restart.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import {
  at,
  MINUTE,
  machine,
  namesIn,
  off,
  planScene,
  R1,
  R2,
  rollout,
  running,
  runs,
  told,
  took,
} from './rollout.fixture.ts';
import { RolloutMetrics } from './rollout-metrics.ts';

const spec = { offline: 'Skip' as const, maxUnavailable: '100%' };
const gone = (name: string) => machine(name, { ...runs(name, R1), ...off() });

test('a run completes without those that are off, and says who they are', () => {
  const plan = planScene({
    spec,
    machines: [machine('m1', took('m1', R2, 1000)), ...Array.from({ length: 12 }, (_, i) => gone(`x${i + 10}`))],
    status: running(),
    now: MINUTE,
  });
  expect(plan.phase).toBe('Completed');
  expect(plan.status.skipped).toEqual({
    count: 12,
    machines: ['x10', 'x11', 'x12', 'x13', 'x14', 'x15', 'x16', 'x17', 'x18', 'x19'],
    returned: 0,
  });
});

test('who returns is told, and is counted once it has the revision', () => {
  const first = planScene({
    spec,
    machines: [machine('m1', took('m1', R2, 1000)), gone('m2')],
    status: running(),
    now: MINUTE,
  });
  const back = machine('m2', { ...runs('m2', R1), connection: { online: true, since: at(2 * MINUTE) } });
  const next = planScene({
    spec,
    machines: [machine('m1', took('m1', R2, 1000)), back],
    status: first.status,
    now: 2 * MINUTE,
  });
  expect([namesIn(next.fetch), next.status.skipped]).toEqual([['m2'], { count: 0, returned: 0 }]);
  const attempt = { phase: 'Committed', finishedAt: at(4 * MINUTE) };
  const run = first.status.run ?? '';
  const has = machine('m2', { ...runs('m2', R2), ...told('m2', R2, 3 * MINUTE, attempt, { run, reason: 'Joined' }) });
  const joined = machine(
    'm3',
    { ...runs('m3', R2), ...told('m3', R2, 3 * MINUTE, attempt, { run }) },
    { created: at(MINUTE) },
  );
  const machines = [machine('m1', took('m1', R2, 1000)), has, joined];
  const last = planScene({ spec, machines, status: next.status, now: 5 * MINUTE });
  expect(last.status.skipped).toEqual({ count: 0, returned: 1, last: [{ machine: 'm2', at: at(3 * MINUTE) }] });
});

test('it is not said while the run is open, nor with offline Wait', () => {
  const machines = [machine('m1', took('m1', R2, 1000)), gone('m2')];
  expect(planScene({ spec: {}, machines, status: running() }).status.skipped).toBeUndefined();
  const open = planScene({ spec, machines: [machine('m1', runs('m1', R1)), gone('m2')], status: running() });
  expect([open.phase, open.status.skipped]).toEqual(['Progressing', undefined]);
});

test('the metrics have both numbers', async () => {
  const registry = new Registry();
  const plan = planScene({
    spec,
    machines: [machine('m1', took('m1', R2, 1000)), gone('m2')],
    status: running(),
    now: MINUTE,
  });
  new RolloutMetrics(registry).observe(rollout(spec), plan, 0.01);
  const text = await registry.metrics();
  expect(text).toContain('floe_rollout_machines{namespace="shop",rollout="web",state="skipped"} 1');
  expect(text).toContain('floe_rollout_machines{namespace="shop",rollout="web",state="returned"} 0');
});
