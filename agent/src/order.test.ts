// Which orders are accepted, and which count as carried out.
import { expect, test } from 'vitest';
import { orderFor } from './attempt/model.fixture.ts';
import { type AttemptRecord, newAttempt, type Order } from './attempt/record.ts';
import { EMPTY_JOURNAL, type Journal, withAttempt } from './journal/journal.ts';
import { isHandled, orderFault } from './order.ts';

const order = orderFor({ mode: 'switch', confirm: 'hub' });
const other = { ...order, id: 'order-2', closure: '/nix/store/22222222222222222222222222222222-x' };
const NOW = Date.parse('2026-01-01T00:00:00Z') / 1000;
const done = (one: Order, phase: AttemptRecord['phase']): Journal =>
  withAttempt(EMPTY_JOURNAL, { ...newAttempt(one, 't'), step: 'done', phase });

test.each<{ name: string; order: Order; journal: Journal; last?: Order; fault: string | undefined }>([
  { name: 'the first', order, journal: EMPTY_JOURNAL, fault: undefined },
  { name: 'the same again', order, journal: done(order, 'Committed'), fault: undefined },
  { name: 'a higher one', order: { ...other, sequence: 8 }, journal: done(order, 'Committed'), fault: undefined },
  { name: 'a lower one', order: { ...other, sequence: 6 }, journal: done(order, 'Committed'), fault: 'lower than 7' },
  {
    name: 'a lower one than was accepted but not begun',
    order: { ...other, sequence: 8 },
    journal: EMPTY_JOURNAL,
    last: { ...order, sequence: 9 },
    fault: 'lower than 9',
  },
  { name: 'the same sequence for another', order: other, journal: done(order, 'Committed'), fault: 'used before' },
  { name: 'half a day ahead', order: { ...order, sequence: NOW + 43_200 }, journal: EMPTY_JOURNAL, fault: undefined },
  {
    name: 'two days ahead',
    order: { ...order, sequence: NOW + 172_800 },
    journal: EMPTY_JOURNAL,
    fault: "more than a day ahead of the machine's clock (2026-01-01T00:00:00Z)",
  },
  {
    name: 'the highest there is',
    order: { ...order, sequence: Number.MAX_SAFE_INTEGER },
    journal: EMPTY_JOURNAL,
    fault: 'more than a day ahead',
  },
  {
    name: 'beyond all integers',
    order: { ...order, sequence: 2 ** 60 },
    journal: { sequence: 2 ** 60 - 1024, ended: [] },
    fault: 'more than a day ahead',
  },
  {
    name: 'the next one after a wrong clock was believed once',
    order: { ...order, sequence: 4_000_000_001 },
    journal: { sequence: 4_000_000_000, ended: [] },
    fault: undefined,
  },
  {
    name: 'a lower one, with what to do',
    order: { ...other, sequence: 6 },
    journal: { sequence: Number.MAX_SAFE_INTEGER, ended: [] },
    fault: 'run floe-agent accept-orders on the machine',
  },
  {
    name: 'a path that is none',
    order: { ...order, closure: '/nix/store/x/../../etc' },
    journal: EMPTY_JOURNAL,
    fault: 'no store path',
  },
  {
    name: 'after a journal that was lost but for its sequence',
    order,
    journal: { sequence: 7, ended: [] },
    fault: undefined,
  },
])('$name', ({ order: one, journal, last, fault }) => {
  const found = orderFault(one, { journal, last, time: '2026-01-01T00:00:00Z' });
  if (fault === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(fault);
});

test.each<{ phase: AttemptRecord['phase']; sequence: number; handled: boolean }>([
  { phase: 'Committed', sequence: 9, handled: true },
  { phase: 'RolledBack', sequence: 9, handled: true },
  { phase: 'Unconfirmed', sequence: 9, handled: true },
  { phase: 'Cancelled', sequence: 7, handled: true },
  { phase: 'Cancelled', sequence: 9, handled: false },
])('one that ended $phase, told again with sequence $sequence', ({ phase, sequence, handled }) => {
  expect(isHandled({ ...order, sequence }, done(order, phase))).toBe(handled);
});
