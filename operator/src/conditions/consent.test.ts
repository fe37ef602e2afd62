// What a machine waits for, in words: whose it is, until when, and how to say yes.
import { expect, test } from 'vitest';
import { consentDeadline, consentWait } from './consent.ts';
import { attempt, desired, machine, running } from './machine.fixture.ts';

const T = Date.parse('2026-03-01T10:00:00Z');
const asks = { activation: { consent: 'Ask' as const, deferLimit: '4h' } };
const status = running({ desired: desired({ go: false }), attempt: attempt('Fetched') });

test('the sentence names owners, the deferral, the way to say yes and the end', () => {
  const spec = { ...asks, owners: ['ada@example.org', 'bob', 'cy', 'dee'] };
  const consent = {
    desiredId: desired().id,
    state: 'Deferred' as const,
    until: '2026-03-01T11:30:00Z',
    at: '2026-03-01T10:00:00Z',
  };
  expect(consentWait(machine({ ...status, consent }, spec), T)?.message).toBe(
    'waits for a yes of its users (ada@example.org, bob, cy and 1 more), put off until 2026-03-01 11:30 UTC: floe-agent approve on web-01; switches by itself at 2026-03-01 13:59 UTC',
  );
});

test.each([
  ['it does not ask', machine(status)],
  ['it has its go', machine({ ...status, desired: desired() }, asks)],
  ['it has no order', machine(running(), asks)],
  ['it still fetches', machine({ ...status, attempt: attempt('Fetching') }, asks)],
  ['the attempt is another one', machine({ ...status, attempt: attempt('Fetched', { desiredId: 'x' }) }, asks)],
])('no wait where %s', (_, one) => {
  expect(consentWait(one, T)).toBeUndefined();
});

test('the limit counts from the order; one that can not be read is 72 h', () => {
  expect(consentDeadline(machine(status, asks))).toBe(Date.parse('2026-03-01T13:59:00Z'));
  const odd = { activation: { ...asks.activation, deferLimit: 'soon' } };
  expect(consentDeadline(machine(status, odd))).toBe(Date.parse('2026-03-04T09:59:00Z'));
});
