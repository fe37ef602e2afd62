// Which orders are not begun since their closure failed here before, and when an attempt that waits for its boot goes on.
import { expect, test } from 'vitest';
import { EMPTY_JOURNAL, type Journal, withAttempt } from '../journal/journal.ts';
import { attemptFor, reopened } from './known-bad.ts';
import { orderFor } from './model.fixture.ts';
import { type AttemptRecord, newAttempt, type Order } from './record.ts';

const order: Order = { ...orderFor({ mode: 'switch', confirm: 'hub' }), id: 'second', reason: 'Rollout', sequence: 9 };
const before = { system: '/nix/store/0-old', failedUnits: [], bootId: '1', program: ['agent'] };

function past(phase: AttemptRecord['phase'], change: Partial<AttemptRecord> = {}): AttemptRecord {
  const first = { ...order, id: 'first', sequence: 7 };
  return { ...newAttempt(first, 't1'), before, step: 'done', phase, message: 'bad.service failed.', ...change };
}
const after = (...records: AttemptRecord[]): Journal => records.reduce(withAttempt, EMPTY_JOURNAL);

test.each<{ name: string; journal: Journal; order?: Partial<Order>; begins: boolean }>([
  { name: 'nothing is known of it', journal: EMPTY_JOURNAL, begins: true },
  { name: 'it was rolled back', journal: after(past('RolledBack')), begins: false },
  { name: 'it failed', journal: after(past('Failed')), begins: false },
  { name: 'it could not be fetched', journal: after({ ...past('Failed'), before: undefined } as never), begins: true },
  { name: 'nobody confirmed it', journal: after(past('Unconfirmed')), begins: true },
  {
    name: 'somebody retried, and another order came between',
    journal: after(
      past('RolledBack'),
      past('Cancelled', { order: { ...order, id: 'between', reason: 'Retry' }, startedAt: 't2' }),
    ),
    begins: true,
  },
  { name: 'another took its place', journal: after(past('Cancelled')), begins: true },
  {
    name: 'it was kept since',
    journal: after(past('RolledBack'), past('Committed', { startedAt: 't2' })),
    begins: true,
  },
  { name: 'somebody retries', journal: after(past('RolledBack')), order: { reason: 'Retry' }, begins: true },
  {
    name: 'the fleet goes back to it',
    journal: after(past('RolledBack')),
    order: { reason: 'Rollback' },
    begins: true,
  },
  { name: 'root asks for it', journal: after(past('RolledBack')), order: { origin: 'local' }, begins: true },
  {
    name: 'it is another specialisation',
    journal: after(past('RolledBack')),
    order: { specialisation: 'x' },
    begins: true,
  },
])('$name: begins $begins', ({ journal, order: change = {}, begins }) => {
  const record = attemptFor({ ...order, ...change }, journal, 't3');
  expect(record.step).toBe(begins ? 'fetch' : 'done');
  if (begins) return;
  expect(record.phase).toBe('Failed');
  expect(record.message).toContain('failed on this machine before, so it is not tried again until somebody retries');
  expect(record.message).toContain('bad.service failed.');
});

test('one that was refused so is refused again, with the first reason once', () => {
  const refused = attemptFor(order, after(past('RolledBack')), 't3');
  const again = attemptFor({ ...order, id: 'third' }, after(past('RolledBack'), refused), 't4');
  expect(again.message).toBe(refused.message);
});

test.each<{ name: string; order: Partial<Order>; goesOn: boolean }>([
  { name: 'leave to restart', order: { mayReboot: true }, goesOn: true },
  { name: 'no leave', order: {}, goesOn: false },
  { name: 'leave, but on hold', order: { mayReboot: true, go: false }, goesOn: false },
  { name: 'leave for another order', order: { mayReboot: true, id: 'third' }, goesOn: false },
])('an attempt that waits for its boot and gets $name: goes on $goesOn', ({ order: change, goesOn }) => {
  const journal = after({ ...past('RebootRequired'), order });
  const record = reopened({ ...order, ...change }, journal);
  expect(record?.step).toBe(goesOn ? 'await-reboot' : undefined);
  if (goesOn) expect(record).toMatchObject({ staged: true, bootTouched: true });
});
