// What a run of switch-to-configuration has done: by what is seen and by its own words, never by the code alone.
import { expect, test } from 'vitest';
import { type Evidence, isLockTaken, judgeRun } from './exit-code.ts';
import { LOCK_TAKEN, LOGIND_SILENT } from './model.fixture.ts';
import type { RunOutcome } from './outcome.ts';
import type { SwitchWords } from './switch-words.ts';

const UNTOUCHED: Evidence = { untouched: true, unfinished: false };
const ACTIVATED: Evidence = { untouched: false, unfinished: false };
const HALF_WAY: Evidence = { untouched: false, unfinished: true };
const exited = (code: number, words: SwitchWords = {}): RunOutcome => ({ kind: 'exited', code, ...words });
const NO_NIXOS = { said: 'This is not a NixOS installation!' };
const SNIPPET = {
  said: "Activation script snippet 'keys' failed (1) / Failed to start a.service",
  began: true,
} as const;

test.each<{ name: string; run: RunOutcome; evidence: Evidence; kind: string; says?: string }>([
  { name: 'the lock is taken', run: LOCK_TAKEN, evidence: UNTOUCHED, kind: 'busy' },
  { name: 'the lock is taken by one in mid-switch', run: LOCK_TAKEN, evidence: HALF_WAY, kind: 'busy' },
  { name: '11 without a word, nothing changed', run: exited(11), evidence: UNTOUCHED, kind: 'busy' },
  { name: '11 without a word, half-way', run: exited(11), evidence: HALF_WAY, kind: 'broken' },
  { name: 'logind is silent', run: LOGIND_SILENT, evidence: HALF_WAY, kind: 'broken', says: 'Unable to list users' },
  {
    name: 'logind is silent, and no unit was waiting',
    run: LOGIND_SILENT,
    evidence: UNTOUCHED,
    kind: 'broken',
    says: 'half-way (exit code 11: Unable to list users',
  },
  {
    name: '11 for another reason before anything was done',
    run: exited(11, { said: 'Error: Failed to open dbus connection' }),
    evidence: UNTOUCHED,
    kind: 'refused',
    says: 'before it changed anything (exit code 11: Error: Failed to open dbus connection)',
  },
  { name: 'activation fails', run: exited(2, SNIPPET), evidence: ACTIVATED, kind: 'broken', says: 'activation script' },
  { name: 'activation ends before it is done', run: exited(2), evidence: UNTOUCHED, kind: 'broken' },
  {
    name: 'it is no NixOS (ENOENT)',
    run: exited(2, NO_NIXOS),
    evidence: UNTOUCHED,
    kind: 'refused',
    says: 'This is not a NixOS installation!',
  },
  {
    name: 'logind is silent, with another errno',
    run: exited(2, { said: 'Unable to list users with logind: gone', began: true }),
    evidence: HALF_WAY,
    kind: 'broken',
    says: 'the switch failed half-way (exit code 2: Unable',
  },
  { name: 'a unit fails', run: exited(4, { began: true }), evidence: ACTIVATED, kind: 'degraded' },
  { name: 'EINTR half-way', run: exited(4, { began: true }), evidence: HALF_WAY, kind: 'broken' },
  { name: 'a unit fails after the activation did', run: exited(4, SNIPPET), evidence: ACTIVATED, kind: 'broken' },
  { name: 'a check refuses', run: exited(1), evidence: UNTOUCHED, kind: 'refused' },
  {
    name: 'it stopped units, and nothing else is seen',
    run: exited(1, { began: true }),
    evidence: UNTOUCHED,
    kind: 'broken',
  },
])('$name: $kind', ({ run, evidence, kind, says }) => {
  const verdict = judgeRun(run, evidence);
  expect(verdict.kind).toBe(kind);
  if (says !== undefined) expect('message' in verdict ? verdict.message : '').toContain(says);
});

test('on the way back and at the boot entry the words say whether the lock is taken', () => {
  expect([LOCK_TAKEN, exited(11), LOGIND_SILENT, exited(1)].map(isLockTaken)).toEqual([true, true, false, false]);
});
