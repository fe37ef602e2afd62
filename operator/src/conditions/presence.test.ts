import { expect, test } from 'vitest';
import { deriveConditions } from './derive.ts';
import { machine, running } from './machine.fixture.ts';
import { statusPatch } from './patch.ts';

const AT = new Date('2026-03-01T10:11:12Z');
const went = { online: false, since: '2026-03-01T10:11:12Z', lastSeen: '2026-03-01T10:11:02Z' };

test('Full keeps the times', () => {
  const { next } = statusPatch(machine(running()), { connection: went }, AT) ?? {};
  expect(next?.status?.connection).toEqual(went);
});

test('Coarse keeps whether it is connected and the day, in the status and in its condition', () => {
  const one = machine(running(), { presence: 'Coarse' });
  const { next, patch } = statusPatch(one, { connection: went }, AT) ?? {};
  expect(next?.status?.connection).toEqual({ online: false, since: '2026-03-01T00:00:00Z' });
  expect(next?.status?.conditions?.find(({ type }) => type === 'Online')).toMatchObject({
    status: 'False',
    message: 'not connected',
    lastTransitionTime: '2026-03-01T00:00:00Z',
  });
  expect(JSON.stringify({ connection: patch?.status['connection'] })).not.toContain('10:1');
});

test('times that were kept before go with the next write', () => {
  const status = running({
    connection: { online: true, since: '2026-03-01T08:09:10Z', lastSeen: '2026-03-01T09:00:00Z' },
  });
  const before = { ...status, conditions: deriveConditions(machine(status), new Date('2026-03-01T08:09:10Z')) };
  const { next } = statusPatch(machine(before, { presence: 'Coarse' }), { observedGeneration: 2 }, AT) ?? {};
  const online = next?.status?.conditions?.find(({ type }) => type === 'Online');
  expect([next?.status?.connection, online?.lastTransitionTime]).toEqual([
    { online: true, since: '2026-03-01T00:00:00Z' },
    '2026-03-01T00:00:00Z',
  ]);
});

test('Coarse keeps no time of day of what users answered, or of secrets that came with a connection', () => {
  const consent = { desiredId: 'a', state: 'Approved' as const, at: '2026-03-01T10:11:12Z' };
  const secrets = { generation: 1, total: 1, delivered: 1, changedAt: '2026-03-01T10:11:12Z' };
  const one = machine(running(), { presence: 'Coarse' });
  const { next } = statusPatch(one, { consent, secrets }, AT) ?? {};
  expect(next?.status?.consent).toEqual({ ...consent, at: '2026-03-01T00:00:00Z' });
  expect(next?.status?.secrets).toEqual({ ...secrets, changedAt: '2026-03-01T00:00:00Z' });
  // The same news again is no write.
  expect(statusPatch({ ...one, ...next }, { consent, secrets }, AT)).toBeUndefined();
});
