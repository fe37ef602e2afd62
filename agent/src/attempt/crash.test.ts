// An attempt under faults: the agent is killed or the power cut between any two effects, and the machine must still be right.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  LOCK_TAKEN,
  LOGIND_SILENT,
  Model,
  NEW,
  OLD,
  READ_ONLY,
  type Script,
  type UnderJournal,
} from './model.fixture.ts';
import type { RunOutcome } from './outcome.ts';

const exited = (code: number): RunOutcome => ({ kind: 'exited', code });

const run = fc.oneof(
  { weight: 6, arbitrary: fc.constant(exited(0)) },
  fc.constantFrom(exited(1), exited(2), exited(4), exited(11), exited(100), LOCK_TAKEN, LOGIND_SILENT),
  fc.constantFrom<RunOutcome>(
    { kind: 'timed-out', seconds: 10 },
    { kind: 'killed', signal: 'SIGKILL' },
    { kind: 'lost' },
  ),
);

const script: fc.Arbitrary<Script> = fc.record({
  mode: fc.constantFrom('switch', 'switch', 'boot', 'test'),
  confirm: fc.constantFrom('hub', 'hub', 'none'),
  fetched: fc.constantFrom('fetched', 'fetched', 'fetched', 'fetched', 'refused', 'unavailable'),
  test: fc.array(run, { minLength: 1, maxLength: 3 }),
  boot: fc.constantFrom(exited(0), exited(0), exited(0), exited(1), exited(11), { kind: 'timed-out', seconds: 10 }),
  back: fc.constantFrom(exited(0), exited(0), exited(4), LOGIND_SILENT),
  healthy: fc.constantFrom(true, true, true, false),
  hub: fc.constantFrom('confirmed', 'confirmed', 'confirmed', 'denied', 'unreachable'),
  handsOver: fc.boolean(),
  newAgentStarts: fc.constantFrom(true, true, true, false),
  policy: fc.constantFrom('Never', 'WhenRequired', 'InWindow'),
  inhibited: fc.constantFrom(false, false, true),
  kernelComesUp: fc.constantFrom(true, true, true, false),
  superseded: fc.constantFrom(false, false, false, true),
  bootReadOnly: fc.constantFrom(false, false, false, false, true),
  faults: fc.array(fc.record({ after: fc.nat(70), kind: fc.constantFrom('kill', 'power') }), { maxLength: 4 }),
}) as fc.Arbitrary<Script>;

/** A closure that only a reboot starts is not proved to have an agent that starts: boot counting is for that. */
const proven = (given: Script) =>
  given.handsOver &&
  given.mode !== 'boot' &&
  given.inhibited !== true &&
  !given.test.some((one) => one.kind === 'exited' && one.code === 100);

/** What the machine must be like, given how the attempt says that it ended. */
function promised(phase: string, { mode, kernelComesUp }: Script, { boots, current, trace }: Model) {
  // After its end the attempt has no say any more: that is drift.
  const later = kernelComesUp === false && trace.at(-1)?.startsWith('power') === true;
  if (phase === 'Committed' && mode !== 'test' && later) return { current: OLD, profile: NEW, bootDefault: NEW };
  if (phase === 'Committed' && mode !== 'test') return { current: NEW, profile: NEW, bootDefault: NEW };
  // It was to run until the next boot, which may have come.
  if (phase === 'Committed') return { current: boots === 1 ? NEW : current, profile: OLD, bootDefault: OLD };
  if (phase === 'RebootRequired') return { current: OLD, profile: NEW, bootDefault: NEW };
  return { current: OLD, profile: OLD, bootDefault: OLD };
}

test('whatever strikes, the machine ends where its last word says', async () => {
  await fc.assert(
    fc.asyncProperty(script, async (any) => {
      const given = { ...any, newAgentStarts: any.newAgentStarts || !proven(any) };
      const model = new Model(given);
      const record = await model.live();
      const where = { current: model.current, profile: model.profile, bootDefault: model.bootDefault };
      const context = `${record.phase}: ${record.message}\n${model.trace.join(', ')}`;
      expect(where, context).toEqual(promised(record.phase, given, model));
      if (record.phase === 'Committed' || record.phase === 'RebootRequired') {
        expect(given.confirm === 'none' || model.confirmed, context).toBe(true);
      }
      if (record.phase === 'Committed' && (model.boots === 1 || record.cameUp))
        expect(given.healthy, context).toBe(true);
      expect(model.trace.filter((one) => one === 'reboot').length, context).toBeLessThanOrEqual(2);
      expect([...model.timers], context).toEqual([]);
    }),
    { numRuns: Number(process.env['FLOE_ATTEMPTS'] ?? 5000) },
  );
});

const underJournal: fc.Arbitrary<UnderJournal> = fc.record({
  cuts: fc.array(fc.nat(40), { minLength: 1, maxLength: 3 }),
  kept: fc.array(fc.boolean(), { maxLength: 12 }),
});

test('a disk that drops what was not synced changes nothing of that: a hundred random cuts and more', async () => {
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(script, underJournal, async (any, under) => {
      const given = { ...any, newAgentStarts: any.newAgentStarts || !proven(any) };
      const model = new Model(given, under);
      const record = await model.live();
      cuts += model.trace.filter((one) => one.startsWith('power in save')).length;
      const where = { current: model.current, profile: model.profile, bootDefault: model.bootDefault };
      const context = `${record.phase}: ${record.message}\n${model.trace.join(', ')}`;
      expect(where, context).toEqual(promised(record.phase, given, model));
    }),
    { numRuns: Number(process.env['FLOE_ATTEMPTS'] ?? 1000) },
  );
  expect(cuts).toBeGreaterThan(100);
});

test('a closure whose agent does not start is undone by the timer', async () => {
  const model = new Model({ ...good, handsOver: true, newAgentStarts: false });
  const record = await model.live();
  expect(record.phase).toBe('RolledBack');
  expect(record.undone).toBe(true);
  expect(model.trace).toContain('rescue by timer 2');
  expect(model.current).toBe(OLD);
});

const good: Script = {
  mode: 'switch',
  confirm: 'hub',
  fetched: 'fetched',
  test: [exited(0)],
  boot: exited(0),
  healthy: true,
  hub: 'confirmed',
  handsOver: false,
  newAgentStarts: true,
  faults: [],
};

test.each<{ name: string; change: Partial<Script>; phase: string; exitCode: number | undefined; undone: boolean }>([
  { name: 'all is well', change: {}, phase: 'Committed', exitCode: 0, undone: false },
  { name: 'with a hand-over', change: { handsOver: true }, phase: 'Committed', exitCode: 0, undone: false },
  {
    name: 'refused by the checks before the switch',
    change: { test: [exited(1)] },
    phase: 'Failed',
    exitCode: 1,
    undone: false,
  },
  { name: 'activation script failed', change: { test: [exited(2)] }, phase: 'RolledBack', exitCode: 2, undone: true },
  {
    name: 'a unit failed and recovered',
    change: { test: [exited(4)] },
    phase: 'Committed',
    exitCode: 4,
    undone: false,
  },
  {
    name: 'a unit failed',
    change: { test: [exited(4)], healthy: false },
    phase: 'RolledBack',
    exitCode: 4,
    undone: true,
  },
  { name: 'lock busy once', change: { test: [exited(11), exited(0)] }, phase: 'Committed', exitCode: 0, undone: false },
  { name: 'lock busy for ever', change: { test: [exited(11)] }, phase: 'Failed', exitCode: 11, undone: false },
  {
    name: 'lock busy, in its own words',
    change: { test: [LOCK_TAKEN, exited(0)] },
    phase: 'Committed',
    exitCode: 0,
    undone: false,
  },
  {
    name: 'logind does not answer once it was activated',
    change: { test: [LOGIND_SILENT], back: LOGIND_SILENT },
    phase: 'RolledBack',
    exitCode: 11,
    undone: true,
  },
  { name: 'needs a reboot', change: { test: [exited(100)] }, phase: 'RebootRequired', exitCode: 100, undone: false },
  {
    name: 'needs a reboot, but may only test',
    change: { test: [exited(100)], mode: 'test' },
    phase: 'Failed',
    exitCode: 100,
    undone: false,
  },
  {
    name: 'hangs',
    change: { test: [{ kind: 'timed-out', seconds: 10 }] },
    phase: 'RolledBack',
    exitCode: undefined,
    undone: true,
  },
  { name: 'hub denies', change: { hub: 'denied' }, phase: 'Cancelled', exitCode: 0, undone: true },
  { name: 'hub is out of reach', change: { hub: 'unreachable' }, phase: 'Unconfirmed', exitCode: 0, undone: true },
  { name: 'no boot entry', change: { boot: exited(1) }, phase: 'RolledBack', exitCode: 1, undone: true },
  { name: 'not signed', change: { fetched: 'refused' }, phase: 'Failed', exitCode: undefined, undone: false },
  { name: 'boot only', change: { mode: 'boot' }, phase: 'RebootRequired', exitCode: undefined, undone: false },
  { name: 'test only', change: { mode: 'test' }, phase: 'Committed', exitCode: 0, undone: false },
  {
    name: 'forbidden by the running system',
    change: { inhibited: true },
    phase: 'RebootRequired',
    exitCode: undefined,
    undone: false,
  },
  {
    name: 'forbidden, and may only test',
    change: { inhibited: true, mode: 'test' },
    phase: 'Failed',
    exitCode: undefined,
    undone: false,
  },
  {
    name: 'restarts and is kept',
    change: { mode: 'boot', policy: 'WhenRequired' },
    phase: 'Committed',
    exitCode: undefined,
    undone: false,
  },
  {
    name: 'needs a reboot and gets it',
    change: { test: [exited(100)], policy: 'InWindow' },
    phase: 'Committed',
    exitCode: 100,
    undone: false,
  },
  {
    name: 'restarts and is not confirmed',
    change: { mode: 'boot', policy: 'WhenRequired', hub: 'unreachable' },
    phase: 'Unconfirmed',
    exitCode: undefined,
    undone: true,
  },
  {
    name: 'restarts and is sick',
    change: { mode: 'boot', policy: 'WhenRequired', healthy: false },
    phase: 'RolledBack',
    exitCode: undefined,
    undone: true,
  },
  {
    name: 'its kernel does not come up',
    change: { mode: 'boot', policy: 'WhenRequired', kernelComesUp: false },
    phase: 'RolledBack',
    exitCode: undefined,
    undone: true,
  },
  {
    name: 'replaced while it waits for leave to restart',
    change: { mode: 'boot', policy: 'InWindow', superseded: true },
    phase: 'Cancelled',
    exitCode: undefined,
    undone: true,
  },
])('$name: $phase', async ({ change, phase, exitCode, undone }) => {
  const record = await new Model({ ...good, ...change }).live();
  expect({ phase: record.phase, exitCode: record.exitCode, undone: record.undone }).toEqual({
    phase,
    exitCode,
    undone,
  });
});

test('a /boot that cannot be written: the old closure comes back live, and the machine is not restarted', async () => {
  for (const handsOver of [true, false]) {
    const model = new Model({ ...good, handsOver, bootReadOnly: true });
    const record = await model.live();
    expect({ phase: record.phase, current: model.current, profile: model.profile, boots: model.boots }).toEqual({
      phase: 'RolledBack',
      current: OLD,
      profile: OLD,
      boots: 1,
    });
    expect(model.trace).not.toContain('reboot');
    expect(record.message).toContain(`The boot entry could not be written (exit code 1: ${READ_ONLY}).`);
  }
});

test('killed in each step, it goes on and is kept', async () => {
  for (let after = 1; after < 45; after++) {
    const model = new Model({ ...good, handsOver: true, faults: [{ after, kind: 'kill' }] });
    expect((await model.live()).phase, `killed at effect ${after}`).toBe('Committed');
  }
});
