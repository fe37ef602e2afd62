import type { Attempt } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { factsOf } from './facts.ts';
import { machine, T0 } from './rollout.fixture.ts';
import { attemptFailure } from './wording.ts';

const OLD = '/nix/store/cmlcadhf2w4kpwwksm69l37dvhpib4g5-nixos-system-m1-26.11';
const NEW = '/nix/store/722c4s9a0pfp4k81dcz3df6idcm074f7-nixos-system-m1-26.11';
const status = { current: { closure: OLD, revision: 'fb73ec376b1a' } };

test.each<[string, Partial<Attempt>, string]>([
  [
    'what agents say of one that they undid',
    { phase: 'RolledBack', message: `fails.service failed (exit code 1). The machine is back on ${OLD}.` },
    'fails.service failed (exit code 1), rolled back to fb73ec3',
  ],
  [
    'the same in the middle',
    { phase: 'Unconfirmed', message: `No answer (timed out). The machine is back on ${OLD}. /boot was left.` },
    'No answer (timed out), rolled back to fb73ec3. /boot was left',
  ],
  [
    'a closure that no revision names',
    { phase: 'Failed', message: `${NEW} has no specialisation loud. Nothing was changed.` },
    'nixos-system-m1-26.11 (722c4s9) has no specialisation loud. Nothing was changed',
  ],
  [
    'nothing, with units',
    { phase: 'RolledBack', failedUnits: ['a.service'] },
    'a.service failed, rolled back to fb73ec3',
  ],
  ['nothing at all', { phase: 'Failed' }, 'the switch failed'],
])('a failure in words: %s', (_, attempt, words) => {
  const facts = factsOf(machine('m1', status), T0);
  const whole = { desiredId: 'a', to: NEW, startedAt: '2026-03-01T12:00:00Z', phase: 'Failed', ...attempt } as Attempt;
  expect(attemptFailure(facts, whole)).toBe(words);
});
