import { verbAnnotation } from '@floe/crds/constants';
import { desiredIdWithoutClosure } from '@floe/crds/desired-id';
import type { NixMachine } from '@floe/crds/nix-machine';
import { rfc3339 } from '@floe/crds/rfc3339';
import { expect, test } from 'vitest';
import { CLOSURE, config, machine, NOW, snapshot } from './config.fixture.ts';
import { immediateOrders, type MachineOrder } from './immediate.ts';

const NEW = CLOSURE('new');

function orders(machines: NixMachine[], now = NOW, revision = 'r2') {
  const request = { name: 'any', attribute: 'any' };
  const built = machines.map((of) => ({ machine: of, closure: NEW, request }));
  const builds = { total: built.length, built, failed: [], unbuildable: [], missing: [] };
  return immediateOrders(snapshot(config()), { revision, builds, now });
}

/** The machine after an order was written, with what its agent made of it. */
function told(
  { machine: of, changes }: MachineOrder,
  attempt: Partial<NonNullable<NixMachine['status']>['attempt']> = {},
): NixMachine {
  const { desired } = changes;
  const done = { desiredId: desired?.id ?? '', to: NEW, phase: 'Committed', ...attempt };
  return { ...of, status: { ...of.status, ...changes, attempt: done } };
}

const only = (found: readonly MachineOrder[]): MachineOrder => {
  const [order] = found;
  if (order === undefined || found.length > 1) throw new Error(`${found.length} orders`);
  return order;
};

test('a machine that was never told is told, with all that an agent needs', () => {
  const order = only(orders([machine('m1')]).orders);
  expect(order.changes.desired).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{16}$/),
    sequence: NOW.getTime() / 1000,
    revision: 'r2',
    closure: NEW,
    reason: 'Immediate',
    go: true,
    since: '2026-01-01T12:00:00Z',
  });
});

test('a machine that was told is not told again, whatever came of it', () => {
  for (const phase of ['Committed', 'Testing', 'RolledBack', 'Failed', 'Cancelled']) {
    expect(orders([told(only(orders([machine('m1')]).orders), { phase })]).orders).toEqual([]);
  }
});

test('another revision with the same closure is told, so that what it runs has a name', () => {
  const status = {
    desired: {
      id: 'x',
      sequence: 5,
      revision: 'r1',
      closure: NEW,
      reason: 'Immediate',
      go: true,
      since: '2026-01-01T10:00:00Z',
    },
  };
  expect(only(orders([machine('m1', { status })]).orders).changes.desired).toMatchObject({
    revision: 'r2',
    closure: NEW,
  });
});

test('the sequence rises even where it is ahead of the clock', () => {
  const status = {
    desired: {
      id: 'x',
      sequence: 1_767_270_000,
      revision: 'r1',
      closure: CLOSURE('old'),
      reason: 'Rollout',
      go: true,
      since: '2026-01-01T10:00:00Z',
    },
  };
  expect(only(orders([machine('m1', { status })]).orders).changes.desired?.sequence).toBe(1_767_270_001);
});

test.each([
  ['for ever', { reason: 'by hand' }, undefined],
  ['until later', { reason: 'by hand', until: '2026-01-01T12:10:00Z' }, 600],
])('a machine on hold %s is left alone', (_, hold, seconds) => {
  expect(orders([machine('m1', { spec: { hold } })])).toEqual({ orders: [], nextCheckSeconds: seconds });
});

test('a hold that is over holds nobody', () => {
  const hold = { reason: 'by hand', until: '2026-01-01T11:59:59Z' };
  expect(orders([machine('m1', { spec: { hold } })]).orders).toHaveLength(1);
});

test('a closure that failed there waits for a person, whose word counts once', () => {
  const status = { knownBad: [NEW, CLOSURE('other')] };
  expect(orders([machine('m1', { status })]).orders).toEqual([]);
  const asked = machine('m1', { status, annotations: { [verbAnnotation('retry')]: 'now' } });
  const order = only(orders([asked]).orders);
  expect(order.changes).toMatchObject({
    desired: { reason: 'Retry' },
    knownBad: [CLOSURE('other')],
    lastHandled: { retry: 'now' },
  });
  expect(order.changes.desired?.id).not.toBe(only(orders([machine('m1')]).orders).changes.desired?.id);
  expect(orders([told(order)]).orders).toEqual([]);
});

test.each([
  ['right', 0],
  ['a day ahead', 86_400],
  ['of 2036', 3e8],
  ['of 1970', -1.7e9],
])('one that could only not confirm is told again after a pause, twice at most; its clock is %s', (_, ahead) => {
  let now = NOW;
  let current = only(orders([machine('m1')]).orders);
  const ids = new Set([current.changes.desired?.id]);
  for (let again = 1; again <= 3; again += 1) {
    const finishedAt = rfc3339(now.getTime() + ahead * 1000);
    const unconfirmed = told(current, { phase: 'Unconfirmed', finishedAt });
    expect(orders([unconfirmed], now)).toEqual({ orders: [], nextCheckSeconds: again === 3 ? undefined : 300 });
    now = new Date(now.getTime() + 301_000);
    if (again === 3) expect(orders([unconfirmed], now).orders).toEqual([]);
    else current = only(orders([unconfirmed], now).orders);
    ids.add(current.changes.desired?.id);
  }
  expect(ids.size).toBe(3);
});

test('a closure that it had before is a new order, which its agent does not take for done', () => {
  const at = (revision: string, of: NixMachine): MachineOrder => only(orders([of], NOW, revision).orders);
  const first = at('r2', machine('m1'));
  const one = told(first);
  const reverted = told(at('r1', one));
  const attempts = [{ desiredId: first.changes.desired?.id ?? '', to: NEW, phase: 'Committed' }];
  const again = at('r2', { ...reverted, status: { ...reverted.status, attempts } });
  expect(again.changes.desired).toMatchObject({ revision: 'r2', closure: NEW });
  expect(again.changes.desired?.id).not.toBe(first.changes.desired?.id);
  const unconfirmed = told(again, { phase: 'Unconfirmed', finishedAt: '2026-01-01T12:00:00Z' });
  expect(orders([unconfirmed], new Date(NOW.getTime() + 301_000)).orders).toHaveLength(1);
});

test('an order that stands at an upgrade is not repeated, and told again as before', () => {
  const id = desiredIdWithoutClosure({ rollout: 'web', run: `r2 ${NEW}`, machine: 'm1', retry: 1 });
  const desired = { id, sequence: 5, revision: 'r2', closure: NEW, reason: 'Retry', go: true, since: rfc3339(NOW) };
  const of = (phase: string) => machine('m1', { status: { desired, attempt: { desiredId: id, to: NEW, phase } } });
  const later = new Date(NOW.getTime() + 301_000);
  expect(orders([of('Testing')], later).orders).toEqual([]);
  const last = only(orders([of('Unconfirmed')], later).orders);
  const unconfirmed = told(last, { phase: 'Unconfirmed' });
  expect(orders([unconfirmed], new Date(later.getTime() + 301_000)).orders).toEqual([]);
});

test('a machine that asks its people fetches first, and gets its go under the same id', () => {
  const plain = machine('m1');
  const asking: NixMachine = { ...plain, spec: { ...plain.spec, activation: { consent: 'Ask', deferLimit: '1h' } } };
  const order = only(orders([asking]).orders);
  expect(order.changes.desired?.go).toBe(false);
  const fetching = told(order, { phase: 'Fetching' });
  expect(orders([fetching]).orders).toEqual([]);
  const fetched = told(order, { phase: 'Fetched' });
  expect(orders([fetched])).toEqual({ orders: [], nextCheckSeconds: 3600 });
  const id = order.changes.desired?.id ?? '';
  const consent = { desiredId: id, state: 'Approved' as const, at: '2026-01-01T12:10:00Z' };
  const go = only(orders([{ ...fetched, status: { ...fetched.status, consent } }]).orders);
  expect(go.changes.desired).toMatchObject({ id, go: true, since: '2026-01-01T12:00:00Z' });
  expect(go.changes.desired?.sequence).toBeGreaterThan(order.changes.desired?.sequence ?? 0);
  const late = new Date(NOW.getTime() + 3600_000);
  expect(only(orders([fetched], late).orders).changes.desired?.go).toBe(true);
});
