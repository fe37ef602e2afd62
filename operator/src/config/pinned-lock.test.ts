import type { BuildRequest } from '@floe/crds/build';
import { MAX_LOCK_LENGTH } from '@floe/crds/constants';
import { expect, test } from 'vitest';
import { buildRequest } from './build-task.ts';
import {
  CLOSURE,
  config,
  job,
  looked,
  machine,
  NOW,
  record,
  revisionOf,
  SETTINGS,
  snapshot,
} from './config.fixture.ts';
import { isLockSmall, pinnedLock } from './pinned-lock.ts';
import { planConfig } from './plan.ts';

const REVISION = revisionOf(config());
const LOCK = '{"nodes":{"root":{}},"root":"root","version":7}';
const OTHER = '{"nodes":{"other":{},"root":{}},"root":"root","version":7}';
const machines = { m1: CLOSURE('m1') };
const summary = { seconds: 1, closures: 0, bytes: 0, builtDerivations: 0 };
const of = (name: string, data: Parameters<typeof record>[2]) => record(job(name, REVISION), REVISION, data);

test('the oldest build with a closure says what binds, whatever the order', () => {
  const first = of('a', { machines, lock: LOCK, number: 10 });
  const later = of('b', { machines: { m2: CLOSURE('m2') }, lock: OTHER, number: 20 });
  expect(pinnedLock([first, later])).toBe(LOCK);
  expect(pinnedLock([later, first])).toBe(LOCK);
});

test('a record from before holds none: then the first later build that has one counts', () => {
  const old = of('a', { machines, number: 10 });
  expect(pinnedLock([old])).toBeUndefined();
  expect(pinnedLock([old, of('b', { machines: { m2: CLOSURE('m2') }, lock: LOCK, number: 20 })])).toBe(LOCK);
});

test('a build in which nothing was built binds nobody', () => {
  expect(pinnedLock([of('a', { lock: LOCK, summary })])).toBeUndefined();
  expect(pinnedLock([])).toBeUndefined();
});

test.each<[string, ReturnType<typeof record>[], string | undefined]>([
  ['the lock of the record', [of('a', { machines, lock: LOCK })], LOCK],
  ['none where the record is from before', [of('a', { machines })], undefined],
])('a machine that joins is built with %s', (_what, records, lock) => {
  const plan = planConfig(snapshot(config(), { machines: [machine('m1'), machine('m2')], records }), NOW);
  expect(plan.create?.machines.map(({ name }) => name)).toEqual(['m2']);
  expect(plan.create?.lock).toBe(lock);
  if (plan.create === undefined) throw new Error('no build');
  const asked = buildRequest(config(), plan.create, { settings: SETTINGS, publicKey: 'k:A' });
  if (asked.kind === 'problem') throw new Error(asked.problem.message);
  expect(asked.request.lock).toBe(lock);
  // What is built stays the same revision.
  expect(asked.request.revision).toBe(REVISION);
});

test('the lock of another revision binds nobody', () => {
  const other = record(job('a', 'ffffffffffff'), 'ffffffffffff', { machines, lock: LOCK });
  const plan = planConfig(snapshot(config(), { machines: [machine('m1')], records: [other] }), NOW);
  expect(plan.create).toMatchObject({ revision: REVISION, machines: [{ name: 'm1' }] });
  expect(plan.create?.lock).toBeUndefined();
});

test('the source of a request says which field it comes from', () => {
  const git = config({ source: { git: { url: 'https://git.example/x' } } });
  const source = { ...looked(git).source, request: { kind: 'flake', ref: 'git+https://git.example/x' } } as const;
  const { display = '' } = source;
  const task = {
    job: 'j',
    revision: REVISION,
    source: { ...source, identity: 1, display, locked: undefined },
    machines: [],
  };
  const asked = buildRequest(git, task, { settings: SETTINGS, publicKey: 'k:A' });
  expect(asked).toMatchObject({ request: { source: { kind: 'flake', field: 'spec.source.git' } } });
});

test('a lock that would leave no room in the record, or in the next request, is not kept', () => {
  const request = (files: Record<string, string>) =>
    ({ source: { kind: 'inline', files }, modules: [], inputs: {} }) as unknown as BuildRequest;
  expect(isLockSmall(LOCK, request({}))).toBe(true);
  expect(isLockSmall('x'.repeat(MAX_LOCK_LENGTH), request({}))).toBe(true);
  expect(isLockSmall('x'.repeat(MAX_LOCK_LENGTH + 1), request({}))).toBe(false);
  expect(isLockSmall('x'.repeat(MAX_LOCK_LENGTH), request({ 'flake.nix': 'y'.repeat(850_000) }))).toBe(false);
});
