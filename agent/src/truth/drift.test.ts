// What counts as drift and what it is called, for everything that can happen to a machine behind Floe's back.
import { expect, test } from 'vitest';
import type { Seen } from '../attempt/outcome.ts';
import { type Evidence, judgeDrift } from './drift.ts';
import type { Kept } from './truth.ts';

const path = (digit: string, name: string) => `/nix/store/${digit.repeat(32)}-${name}`;
const OLD = path('0', 'old');
const OURS = path('1', 'ours');
const SENT = path('2', 'sent-before');
const BUILT = path('3', 'built-here');
const SPECIAL = path('4', 'ours-special');

const kept: Kept = {
  closure: OURS,
  attempt: 'order-1',
  at: '2026-03-01T10:00:00Z',
  mode: 'switch',
  from: OLD,
  bootId: 'boot-1',
  waitsForBoot: false,
};
const calm: Seen = {
  current: OURS,
  booted: OLD,
  profile: OURS,
  bootDefault: { closure: OURS, verified: true },
  bootId: 'boot-1',
};

type Case = {
  readonly name: string;
  readonly seen?: Partial<Seen>;
  readonly kept?: Partial<Kept>;
  readonly present?: number;
  readonly cause?: string;
  readonly found?: string;
};

const rebooted = { bootId: 'boot-2' } as const;
const boots = (closure: string, verified = true) => ({ bootDefault: { closure, verified } });
const to = (closure: string) => ({ current: closure, profile: closure, ...boots(closure) });

test.each<Case>([
  { name: 'nothing changed' },
  { name: 'restarted into what was kept', seen: { ...rebooted, booted: OURS } },
  { name: 'a specialisation of it runs', seen: { current: SPECIAL } },
  { name: 'a specialisation of it boots', seen: { ...boots(SPECIAL) } },
  { name: 'nothing can be read', seen: { current: undefined, profile: undefined, bootDefault: undefined } as never },
  {
    name: 'nixos-rebuild switch on the machine',
    seen: to(BUILT),
    present: 3,
    cause: 'LocalRebuild',
    found: BUILT,
  },
  {
    name: 'nixos-rebuild boot on the machine',
    seen: { profile: BUILT, ...boots(BUILT) },
    present: 3,
    cause: 'LocalRebuild',
  },
  { name: 'nixos-rebuild test on the machine', seen: { current: BUILT }, cause: 'LocalRebuild', found: BUILT },
  { name: 'nixos-rebuild switch --rollback', seen: to(OLD), present: 1, cause: 'UserRollback', found: OLD },
  {
    name: 'a rollback that was restarted into',
    seen: { ...to(OLD), ...rebooted, booted: OLD },
    present: 1,
    cause: 'UserRollback',
  },
  {
    name: 'an older generation activated, profile left alone',
    seen: { current: OLD },
    cause: 'ManualSwitch',
    found: OLD,
  },
  { name: 'a closure of an earlier order activated', seen: { current: SENT }, cause: 'ManualSwitch' },
  { name: 'a closure of an earlier order set again', seen: to(SENT), present: 3, cause: 'ManualSwitch' },
  {
    name: 'restarted, and the loader took the old entry',
    seen: { ...rebooted, current: OLD, booted: OLD },
    cause: 'FailedReboot',
    found: OLD,
  },
  {
    name: 'restarted, then switched by hand',
    seen: { ...rebooted, current: BUILT, booted: OURS },
    cause: 'LocalRebuild',
  },
  { name: 'the loader would start another', seen: boots(OLD), cause: 'BootDefaultChanged', found: OLD },
  { name: 'the same, only concluded from the profile', seen: boots(OLD, false) },
  {
    name: 'an earlier closure is to be booted',
    seen: { profile: SENT, ...boots(SENT) },
    present: 3,
    cause: 'BootDefaultChanged',
  },
  { name: 'waits for its boot', kept: { waitsForBoot: true, mode: 'boot' }, seen: { current: OLD } },
  {
    name: 'waits for its boot, something else runs',
    kept: { waitsForBoot: true, mode: 'boot' },
    seen: { current: BUILT },
    cause: 'LocalRebuild',
  },
  {
    name: 'waited for its boot, and the old one came up',
    kept: { waitsForBoot: true, mode: 'boot' },
    seen: { ...rebooted, current: OLD, booted: OLD },
    cause: 'FailedReboot',
    found: OLD,
  },
  { name: 'waited for its boot, and got it', kept: { waitsForBoot: true }, seen: { ...rebooted, booted: OURS } },
  { name: 'mode test leaves the boot default', kept: { mode: 'test' }, seen: { profile: OLD, ...boots(OLD) } },
  { name: 'mode test ends with a restart', kept: { mode: 'test' }, seen: { ...rebooted, ...to(OLD), booted: OLD } },
  {
    name: 'mode test, something else activated',
    kept: { mode: 'test' },
    seen: { current: BUILT },
    cause: 'LocalRebuild',
  },
])('$name', ({ seen, kept: change, present = 2, cause, found }) => {
  const evidence: Evidence = {
    seen: { ...calm, ...seen },
    family: [OURS, SPECIAL],
    generations: [
      { number: 1, closure: OLD },
      { number: 2, closure: OURS },
    ],
    present,
    sent: [OURS, SENT],
  };
  const judged = judgeDrift({ ...kept, ...change }, evidence);
  expect(judged?.cause).toBe(cause);
  if (found !== undefined) expect(judged?.found).toBe(found);
});
