// After the boot entry was written: what the boot loader itself says decides what is claimed of the next boot.
import { expect, test } from 'vitest';
import { NEW, OLD, orderFor } from './model.fixture.ts';
import { next } from './next.ts';
import type { Seen } from './outcome.ts';
import { type AttemptRecord, newAttempt } from './record.ts';

const at = { time: '2026-01-01T00:00:00Z', monotonicMs: 0 };
const committing: AttemptRecord = {
  ...newAttempt(orderFor({ mode: 'switch', confirm: 'hub' }), at.time),
  step: 'boot',
  phase: 'Committing',
  before: { system: OLD, profile: OLD, bootDefault: OLD, failedUnits: [], bootId: '1', program: ['agent'] },
  systemTouched: true,
  bootTouched: true,
};
const waiting: AttemptRecord = { ...committing, systemTouched: false, rebootOnly: true };
const staged: AttemptRecord = { ...waiting, staged: true };
const says = (closure: string, verified = true) => ({ bootDefault: { closure, verified } });
const special = { ...says(`${NEW}-quiet`), bootDefaultIs: { closure: NEW, name: 'quiet' } };

type Case = {
  readonly name: string;
  readonly record: AttemptRecord;
  readonly seen: Pick<Seen, 'bootDefault' | 'bootDefaultIs'>;
  readonly step: string;
  readonly phase?: string;
  readonly message?: string;
};

test.each<Case>([
  {
    name: 'it runs and boots',
    record: committing,
    seen: says(NEW),
    step: 'disarm',
    phase: 'Committed',
    message: 'It runs, and the next boot starts it.',
  },
  {
    name: 'its specialisation boots',
    record: committing,
    seen: special,
    step: 'disarm',
    phase: 'Committed',
    message: 'It runs, and the next boot starts it.',
  },
  {
    name: 'it runs, and the loader can not be read',
    record: committing,
    seen: says(NEW, false),
    step: 'disarm',
    phase: 'Committed',
    message: 'It runs, and its boot entry is written.',
  },
  {
    name: 'it runs, and another boots: the loader has a default of its own',
    record: committing,
    seen: says(OLD),
    step: 'disarm',
    phase: 'Committed',
    message: `It runs; its boot entry was written (exit code 0), but the boot loader starts ${OLD} at the next boot.`,
  },
  {
    name: 'it waits for its boot',
    record: waiting,
    seen: says(NEW),
    step: 'disarm',
    phase: 'RebootRequired',
    message: 'It starts with the next boot.',
  },
  {
    name: 'it waits for its boot, and the loader can not be read',
    record: waiting,
    seen: {},
    step: 'disarm',
    phase: 'RebootRequired',
    message: 'Its boot entry is written;',
  },
  {
    name: 'it would wait for a boot that starts another',
    record: waiting,
    seen: says(OLD),
    step: 'arm-undo',
    phase: 'RolledBack',
    message: `It needs a boot: its boot entry was written (exit code 0), but the boot loader starts ${OLD}`,
  },
  { name: 'the machine may restart for it', record: staged, seen: says(NEW), step: 'stand-down' },
  {
    name: 'the machine never restarts into another',
    record: staged,
    seen: says(OLD),
    step: 'arm-undo',
    phase: 'RolledBack',
  },
])('$name: $step', ({ record, seen, step, phase, message }) => {
  const after = next(record, { step: 'boot', run: { kind: 'exited', code: 0 }, seen }, at);
  expect(after.step).toBe(step);
  expect(after.ending?.phase).toBe(phase);
  if (message !== undefined) expect(after.ending?.message).toContain(message);
});

test('a boot loader that starts what it did before is back, whatever the profile names', () => {
  const other = '/nix/store/22222222222222222222222222222222-pinned';
  const before = { ...(waiting.before as NonNullable<AttemptRecord['before']>), bootDefault: other };
  const undoing: AttemptRecord = {
    ...waiting,
    step: 'undo-check',
    before,
    undone: true,
    ending: { phase: 'RolledBack', message: 'It needs a boot.' },
  };
  const seen: Seen = { current: OLD, profile: OLD, ...says(other), bootId: '1' };
  const ended = next(undoing, { step: 'undo-check', seen, failedUnits: [], canReboot: true }, at);
  expect(ended.ending?.phase).toBe('RolledBack');
});

test('units that could not be started again on the way back are told', () => {
  const undoing: AttemptRecord = {
    ...committing,
    step: 'undo-units',
    undone: true,
    ending: { phase: 'RolledBack', message: 'web.service failed.' },
  };
  const failed = { kind: 'failed', message: 'Job for db.service failed' } as const;
  const after = next(undoing, { step: 'undo-units', result: failed }, at);
  const seen: Seen = { current: OLD, profile: OLD, ...says(OLD), bootId: '1' };
  const ended = next(after, { step: 'undo-check', seen, failedUnits: [], canReboot: true }, at);
  expect(ended.ending?.message).toContain(
    'Not all units that ran before could be started again: Job for db.service failed.',
  );
});
