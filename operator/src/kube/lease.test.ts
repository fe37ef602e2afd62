// Tests of leader election: one leader at a time, whatever fails.
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import type { Lease } from './builtin.ts';
import { holdLease } from './hold-lease.ts';
import { LeaderElection, type LeaderElectionOptions } from './lease.ts';
import { createKubeMetrics } from './metrics.ts';
import { leases } from './resource.ts';

const PATIENCE = { timeout: 20_000, interval: 5 };
let api: FakeApiServer;
const endings: (() => Promise<void>)[] = [];

beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(async () => {
  for (const end of endings.splice(0)) {
    await end();
  }
  await api.close();
});

function candidate(identity: string, options: Partial<LeaderElectionOptions> = {}) {
  const lost: string[] = [];
  const election = new LeaderElection({
    client: api.client(),
    namespace: 'n',
    name: 'floe-leader',
    identity,
    log: silentLog(),
    onLost: (reason) => lost.push(reason),
    leaseSeconds: 1,
    renewDeadlineSeconds: 0.3,
    retrySeconds: 0.03,
    ...options,
  });
  const end = new AbortController();
  let leads = false;
  void election.leading.then(() => {
    leads = true;
  });
  const run = election.run(end.signal);
  endings.push(async () => {
    end.abort();
    await run;
  });
  return { election, lost, end, run, leads: () => leads };
}

const lease = () => api.get(leases, 'n/floe-leader');
const holder = () => lease()?.spec?.holderIdentity;
const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('the first one leads and renews; the second one waits', async () => {
  const registry = new Registry();
  // Long enough that a slow host takes no pause for a death.
  const patient = { leaseSeconds: 30, renewDeadlineSeconds: 20 };
  const a = candidate('a', { ...patient, metrics: createKubeMetrics(registry) });
  await a.election.leading;
  const b = candidate('b', patient);
  const before = lease()?.spec?.renewTime;
  expect(before).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  await vi.waitFor(() => expect(lease()?.spec?.renewTime).not.toBe(before), PATIENCE);
  expect(holder()).toBe('a');
  expect(b.leads()).toBe(false);
  expect(await registry.metrics()).toContain('leader_election_master_status{name="floe-leader"} 1');
});

test('a leader that stops in good order gives the lease back', async () => {
  const a = candidate('a', { leaseSeconds: 1000 });
  await a.election.leading;
  const b = candidate('b');
  a.end.abort();
  await a.run;
  await b.election.leading;
  expect(lease()?.spec).toMatchObject({ holderIdentity: 'b' });
  expect(a.lost).toEqual([]);
});

test('a leader that vanishes is followed when its lease has run out on the own clock', async () => {
  const a = candidate('a');
  await a.election.leading;
  // As if its process were killed: no renewal, no release.
  api.faults.inject({ verb: 'PATCH' }, { kind: 'reset' }, 1000);
  a.end.abort();
  await a.run;
  const b = candidate('b');
  await pass(100);
  expect(b.leads()).toBe(false);
  api.faults.clear();
  await b.election.leading;
  expect(lease()?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
});

test('the time that a lease says is not believed: clocks differ', async () => {
  const now = new Date(Date.now() - 86_400_000).toISOString().replace('Z', '000Z');
  const old: Lease = {
    apiVersion: leases.apiVersion,
    kind: leases.kind,
    metadata: { name: 'floe-leader', namespace: 'n' },
    spec: { holderIdentity: 'x', leaseDurationSeconds: 1, renewTime: now, acquireTime: now },
  };
  api.seed(leases, old);
  const a = candidate('a');
  await pass(150);
  expect(a.leads()).toBe(false);
  await a.election.leading;
});

describe('leadership is lost', () => {
  test.each<[string, () => void | Promise<void>]>([
    ['when the API server is away', () => api.stop()],
    ['when renewals fail', () => api.faults.inject({ verb: 'PATCH' }, { kind: 'status', status: 500 }, 1000)],
    ['when no answer comes', () => api.faults.inject({ verb: 'PATCH' }, { kind: 'silence' }, 1000)],
    ['when connections are reset', () => api.faults.inject({}, { kind: 'reset' }, 1000)],
    [
      'when somebody else took it',
      () => {
        const present = lease();
        if (present !== undefined) {
          api.seed(leases, { ...present, spec: { ...present.spec, holderIdentity: 'thief' } });
        }
      },
    ],
  ])('%s', async (_, harm) => {
    const a = candidate('a');
    await a.election.leading;
    await harm();
    await a.run;
    expect(a.lost).toHaveLength(1);
    api.faults.clear();
    // It does not give back what it no longer has.
    expect(holder()).not.toBe('');
  });

  test('when the process stood still for longer than the deadline', async () => {
    const a = candidate('a');
    await a.election.leading;
    const end = performance.now() + 400;
    while (performance.now() < end) {
      // Nothing else runs, as with SIGSTOP.
    }
    await a.run;
    expect(a.lost).toEqual(['the Lease could not be renewed within 0.3 s']);
  });
});

describe('leadership is kept', () => {
  test.each<[string, () => void]>([
    ['when some renewals fail', () => api.faults.inject({ verb: 'PATCH' }, { kind: 'status', status: 500 }, 3)],
    ['when an answer is lost', () => api.faults.inject({ verb: 'PATCH' }, { kind: 'lose-answer' }, 2)],
    ['when a label is changed by hand', () => void api.seed(leases, { ...leaseWithLabel() })],
    ['when the lease is deleted', () => api.remove(leases, 'n/floe-leader')],
  ])('%s', async (_, harm) => {
    const a = candidate('a', { leaseSeconds: 20, renewDeadlineSeconds: 10 });
    await a.election.leading;
    harm();
    // Long enough that each of them is followed by renewals that succeed.
    await vi.waitFor(() => expect(api.seen({ verb: 'PATCH' }).length).toBeGreaterThan(10), PATIENCE);
    expect(a.lost).toEqual([]);
    expect(holder()).toBe('a');
  });
});

function leaseWithLabel(): Lease {
  const present = lease();
  return {
    apiVersion: leases.apiVersion,
    kind: leases.kind,
    ...present,
    metadata: { name: 'floe-leader', namespace: 'n', labels: { touched: 'yes' } },
  };
}

test('never two at once, in a crowd whose leaders lose and stop at random', { timeout: 60_000 }, async () => {
  const leaders = new Set<string>();
  const crowd = (identity: string) => {
    const c = candidate(identity, {
      onLost: () => leaders.delete(identity),
      leaseSeconds: 1,
      renewDeadlineSeconds: 0.2,
    });
    void c.election.leading.then(() => {
      leaders.add(identity);
      expect(leaders.size).toBe(1);
    });
    return c;
  };
  const members = Array.from({ length: 4 }, (_, i) => crowd(`m${i}`));
  let last: string | undefined;
  for (let round = 0; round < 3; round += 1) {
    await vi.waitFor(() => expect(leaders.size).toBe(1), PATIENCE);
    const [leader = ''] = leaders;
    expect(leader).not.toBe(last);
    last = leader;
    const member = members[Number(leader.slice(1))];
    if (round === 1) {
      api.faults.inject({ verb: 'PATCH' }, { kind: 'reset' }, 40);
      await member?.run;
    } else {
      leaders.delete(leader);
      member?.end.abort();
      await member?.run;
    }
  }
});

test('a sign of life is renewed, survives failures, and is withdrawn at the end', async () => {
  const end = new AbortController();
  const run = holdLease({
    client: api.client(),
    namespace: 'n',
    name: 'hub-1',
    identity: 'hub-1',
    labels: { 'floe.dev/part': 'hub' },
    log: silentLog(),
    signal: end.signal,
    leaseSeconds: 0.15,
  });
  await vi.waitFor(() => expect(api.get(leases, 'n/hub-1')).toBeDefined(), PATIENCE);
  expect(api.list(leases)[0]?.metadata.labels).toEqual({ 'floe.dev/part': 'hub' });
  api.faults.inject({}, { kind: 'status', status: 500 }, 2);
  api.faults.inject({}, { kind: 'silence' }, 1);
  const before = api.get(leases, 'n/hub-1')?.spec?.renewTime;
  await vi.waitFor(() => expect(api.get(leases, 'n/hub-1')?.spec?.renewTime).not.toBe(before), PATIENCE);
  end.abort();
  await run;
  expect(api.get(leases, 'n/hub-1')).toBeUndefined();
});
