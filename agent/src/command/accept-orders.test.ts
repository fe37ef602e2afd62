// The verb by which a machine takes orders again after one with a number that was too high.
import { expect, test } from 'vitest';
import { orderFor } from '../attempt/model.fixture.ts';
import type { Journal } from '../journal/journal.ts';
import { Ledger } from '../journal/ledger.ts';
import { orderFault } from '../order.ts';
import { runAcceptOrders } from './accept-orders.ts';

test('forgets the highest number, on the disk and in the agent that runs', async () => {
  let stored: Journal = { sequence: Number.MAX_SAFE_INTEGER, ended: [] };
  const store = {
    load: async () => ({ journal: stored }),
    save: async (journal: Journal) => {
      stored = journal;
    },
  };
  let released = 0;
  const ledger = new Ledger(store, async () => ({ release: () => void released++ }));
  let restarts = 0;
  const host = { refreshAgent: async () => void restarts++ };
  const order = orderFor({ mode: 'switch', confirm: 'hub' });
  const known = () => ({ journal: stored, last: undefined, time: '2026-01-01T00:00:00Z' });
  expect(orderFault(order, known())).toContain('floe-agent accept-orders');
  const said = await runAcceptOrders({ ledger, host: host as never }, AbortSignal.timeout(1_000));
  expect(said).toContain(String(Number.MAX_SAFE_INTEGER));
  expect(orderFault(order, known())).toBeUndefined();
  expect([restarts, released]).toEqual([1, 1]);
});
