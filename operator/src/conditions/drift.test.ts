// What people read of a machine that was changed behind Floe's back, is held, or would undo itself.
import type { NixMachineStatus } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { deriveConditions } from './derive.ts';
import { attempt, closure, desired, machine, NEW, onNew, running } from './machine.fixture.ts';

const NOW = new Date('2026-03-01T10:00:00Z');
const SINCE = '2026-03-01T09:58:00Z';

const told: NixMachineStatus = running({ ...onNew, desired: desired(), attempt: attempt('Committed') });
const other = { current: { closure: closure('other') } };

const condition = (status: NixMachineStatus, type: string) =>
  deriveConditions(machine(status), NOW).find((one) => one.type === type);

const drift = (cause: string, state = 'Reported') => ({
  drift: { cause, since: SINCE, expected: NEW, found: closure('other'), state },
});

test.each<{ name: string; status: NixMachineStatus; reason: string; says: RegExp; ready: boolean }>([
  { name: 'nothing', status: told, reason: 'NoDrift', says: /nothing but Floe/, ready: true },
  {
    name: 'a change that the agent has not explained yet',
    status: { ...told, ...other },
    reason: 'Diverged',
    says: /runs .*something else|what changed it is not known|someone or something else/,
    ready: false,
  },
  {
    name: 'a rebuild on the machine',
    status: { ...told, ...other, ...drift('LocalRebuild') },
    reason: 'LocalRebuild',
    says: /nixos-system-other .* built or brought there.*spec\.activation\.drift to Revert/,
    ready: false,
  },
  {
    name: 'a rollback that is put back',
    status: { ...told, ...other, ...drift('UserRollback', 'Reverting') },
    reason: 'UserRollback',
    says: /rolled it back to nixos-system-other .*being put back/,
    ready: false,
  },
  {
    name: 'a fight',
    status: { ...told, ...other, ...drift('ManualSwitch', 'Fights') },
    reason: 'Fights',
    says: /3 times within an hour.*find what changes it/,
    ready: false,
  },
  {
    name: 'only the next boot',
    status: { ...told, ...drift('BootDefaultChanged') },
    reason: 'BootDefaultChanged',
    says: /the next boot starts nixos-system-other/,
    ready: true,
  },
  {
    name: 'a cause of a newer agent',
    status: { ...told, ...other, ...drift('Sun spots!') },
    reason: 'Sunspots',
    says: /Sun spots!/,
    ready: false,
  },
])('$name', ({ status, reason, says, ready }) => {
  expect(condition(status, 'Drifted')).toMatchObject({ reason, message: expect.stringMatching(says) });
  expect(condition(status, 'Ready')?.status).toBe(ready ? 'True' : 'False');
  if (reason !== 'NoDrift') expect(condition(status, 'Ready')?.message).toMatch(says);
});

test('what root activated by hand is held, and says how that ends', () => {
  const held = { closure: closure('other'), since: SINCE, by: 'ada' };
  const status = { ...told, ...other, held };
  expect(condition(status, 'Ready')).toMatchObject({
    status: 'False',
    reason: 'Held',
    message: `held: nixos-system-other (0123456) was activated by hand by ada at ${SINCE}; floe-agent release on it ends this`,
  });
  expect(condition(status, 'Drifted')?.status).toBe('False');
  // A newer order is in hand: that comes first.
  const newer = { ...status, attempt: attempt('Testing') };
  expect(condition(newer, 'Ready')?.reason).toBe('Testing');
});

test('a next boot that would undo what runs is said', () => {
  const status = {
    ...told,
    bootDefault: { closure: closure('other'), verified: true },
    reboot: { required: false, undoes: true },
  };
  const says = /the next boot would undo what runs: it starts nixos-system-other/;
  expect(condition(status, 'RebootRequired')).toMatchObject({
    status: 'False',
    reason: 'NextBootDiffers',
    message: expect.stringMatching(says),
  });
  expect(condition(status, 'Ready')?.message).toMatch(says);
});
