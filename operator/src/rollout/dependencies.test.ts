// `spec.dependsOn`: when a Rollout may tell, and what it says while it may not.
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import {
  batch,
  config,
  failed,
  fleet,
  machine,
  namesIn,
  off,
  planScene,
  R1,
  R2,
  reasons,
  rollout,
  running,
  runs,
  took,
} from './rollout.fixture.ts';

/** Another Rollout of the namespace, of config `web` like the one that waits, or of `db`. */
function db(
  status?: RolloutStatus,
  more: { dependsOn?: { name: string }[]; of?: string; meta?: object } = {},
): Rollout {
  const { dependsOn, of = 'web', meta } = more;
  const made = rollout({ selector: { matchLabels: { role: 'db' } } }, status, { name: 'db', uid: 'u-db', ...meta });
  return {
    ...made,
    spec: { ...made.spec, configRef: { name: of }, ...(dependsOn === undefined ? {} : { dependsOn }) },
  };
}

const spec = { dependsOn: [{ name: 'db' }] };
const done: RolloutStatus = { phase: 'Completed', revision: R2 };

test.each<[string, Rollout[], string | undefined]>([
  ['is complete with the newest revision', [db(done)], undefined],
  [
    'is complete with the one before',
    [db({ phase: 'Completed', revision: R1 })],
    `waits for Rollout db: it has not begun with 2222222 yet`,
  ],
  ['is in hand', [db({ phase: 'Progressing', revision: R2 })], 'waits for Rollout db: Progressing'],
  ['failed', [db({ phase: 'Failed', revision: R2 })], 'waits for Rollout db: Failed'],
  ['was never looked at', [db()], 'waits for Rollout db: Idle'],
  ['is not there', [], 'waits for Rollout db, which is not there; create it or take it out of spec.dependsOn'],
  [
    'is being deleted',
    [db(done, { meta: { deletionTimestamp: '2026-03-01T11:00:00Z' } })],
    'waits for Rollout db, which is not there; create it or take it out of spec.dependsOn',
  ],
  [
    'was edited since',
    [db({ ...done, observedGeneration: 1 }, { meta: { generation: 2 } })],
    'waits for Rollout db: it has been edited and is looked at again',
  ],
  [
    'leads back',
    [db(done, { dependsOn: [{ name: 'web' }] })],
    'spec.dependsOn leads back to this Rollout: web → db → web; take one of them out',
  ],
])('a dependency that %s', (_, others, message) => {
  const plan = planScene({ machines: fleet(1), spec, others });
  expect(namesIn(plan.dispatch)).toEqual(message === undefined ? ['m1'] : []);
  expect(plan.hold).toEqual(message === undefined ? [] : [{ machine: 'm1', reason: 'WaitingForDependency', message }]);
  expect(plan.phase).toBe('Progressing');
  if (message !== undefined) expect(plan.conditions[0]).toMatchObject({ type: 'Ready', status: 'False', message });
});

test('of another config, its newest revision counts', () => {
  const dbConfig = { ...config(R1), metadata: { name: 'db', namespace: 'shop' } };
  const others = [db({ phase: 'Completed', revision: R1 }, { of: 'db' })];
  const plan = planScene({ machines: fleet(1), spec, others, snapshot: { configs: [dbConfig] } });
  expect(namesIn(plan.dispatch)).toEqual(['m1']);
  const newer = { ...config(R2), metadata: { name: 'db', namespace: 'shop' } };
  expect(namesIn(planScene({ machines: fleet(1), spec, others, snapshot: { configs: [newer] } }).dispatch)).toEqual([]);
});

test('a circle is stalled, a missing one is not, itself is a wrong spec', () => {
  const stalled = (others: Rollout[], name = 'db') =>
    planScene({ machines: fleet(1), spec: { dependsOn: [{ name }] }, others }).conditions.find(
      ({ type }) => type === 'Stalled',
    );
  expect(stalled([db(done, { dependsOn: [{ name: 'web' }] })])).toMatchObject({
    status: 'True',
    reason: 'DependencyCycle',
  });
  expect(stalled([])).toMatchObject({ status: 'False', reason: 'DependencyMissing' });
  expect(stalled([db(done)], 'web')).toMatchObject({
    status: 'True',
    reason: 'InvalidSpec',
    message: 'spec.dependsOn[0].name: a Rollout can not wait for itself; name another one',
  });
});

test('those told already finish, joiners wait, rollbacks do not', () => {
  const others = [db({ phase: 'Progressing', revision: R2 })];
  const machines = [machine('m1', took('m1', R2, 1000)), machine('m2', runs('m2', R1)), machine('m3', off())];
  const mid = planScene({ machines, spec: { ...spec, steps: [batch(1)] }, others, status: running() });
  expect(mid.dispatch).toEqual([]);
  expect(reasons(mid)).toEqual({ m2: 'WaitingForDependency', m3: 'Offline' });
  const after = planScene({ machines, spec, others, status: running({ phase: 'Completed', stableRevision: R2 }) });
  expect(after.phase).toBe('Completed');
  expect(reasons(after)).toEqual({ m2: 'WaitingForDependency', m3: 'Offline' });
  const back = planScene({
    machines: [machine('m1', took('m1', R2, 1000)), machine('m2', failed('m2', R2, 0))],
    spec: { ...spec, onFailure: 'Rollback' },
    others,
    status: running(),
  });
  expect([back.phase, namesIn(back.rollback)]).toEqual(['RollingBack', ['m1']]);
});
