// What is reported of the machine's closures: a specialisation counts as the closure that it belongs to.
import { expect, test } from 'vitest';
import { EMPTY_JOURNAL } from './journal/journal.ts';
import { machineState } from './state.ts';

const PARENT = '/nix/store/00000000000000000000000000000000-parent';
const SPECIAL = '/nix/store/11111111111111111111111111111111-special';
const is = { closure: PARENT, name: 'quiet' };

test('a specialisation that runs, was booted, or boots next is reported as its closure, by name', () => {
  const seen = {
    bootId: 'one',
    current: SPECIAL,
    booted: SPECIAL,
    bootDefault: { closure: SPECIAL, verified: true },
    currentIs: is,
    bootedIs: is,
    bootDefaultIs: is,
  };
  const state = machineState(EMPTY_JOURNAL, { seen, failedUnits: [], rebootReasons: [], facts: {} });
  const quiet = { closure: PARENT, specialisation: 'quiet' };
  expect(state).toMatchObject({ current: quiet, booted: quiet, bootDefault: { ...quiet, verified: true } });
});
