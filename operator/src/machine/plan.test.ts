import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine, NixMachineSpec } from '@floe/crds/nix-machine';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { desired, machine, onNew, running } from '../conditions/machine.fixture.ts';
import { planMachine } from './plan.ts';
import type { MachineSnapshot } from './snapshot.ts';

const NOW = new Date('2026-03-01T10:00:00Z');
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5VKh4T1WqdkYG8MOsR/ylwCRJT4SMuUPm4kfb+643E web-01';
const identity = { sshHostKey: KEY };

const config = (over: Partial<NixConfig['spec']> = {}, built = true): NixConfig => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixConfig',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { source: { flake: 'x' }, ...over },
  ...(built ? { status: { revision: { id: '3f9c2ab41c07', source: 's', builtAt: 't' } } } : {}),
});
const withSpec = (spec: Partial<NixMachineSpec>, created = '2026-02-01T00:00:00Z'): NixMachine => {
  const made = machine(running({ desired: desired(), ...onNew }), { identity, ...spec });
  return { ...made, metadata: { ...made.metadata, creationTimestamp: created } };
};
const elder: NixMachine = { ...machine(), metadata: { ...machine().metadata, name: 'elder' } };
const snapshot = (over: Partial<MachineSnapshot> = {}): MachineSnapshot => ({
  machine: withSpec({}),
  config: config(),
  closure: { kind: 'closure', closure: '/nix/store/x', attribute: undefined },
  isSelected: true,
  keyKeeper: undefined,
  replicaGoneIn: undefined,
  ...over,
});
const plan = (over: Partial<MachineSnapshot> = {}, now = NOW) => planMachine(snapshot(over), now);
const failure = {
  kind: 'failure',
  stage: 'Build',
  message: 'the option x does not exist',
  attribute: undefined,
} as const;
const young = '2026-03-01T09:59:58Z';

describe('why a machine waits', () => {
  test.each<[string, Partial<MachineSnapshot>, string | undefined, RegExp]>([
    ['it does not', {}, undefined, /^up to date$/],
    ['spec', { machine: withSpec({ activation: { timeout: 'soon' } }) }, 'InvalidSpec', /^spec\.activation\.timeout: /],
    [
      'spec is missing',
      { machine: { ...machine(), spec: undefined as unknown as NixMachineSpec } },
      'InvalidSpec',
      /spec/,
    ],
    [
      'key is no key',
      { machine: withSpec({ identity: { sshHostKey: 'ssh-ed25519 AAAA' } }) },
      'InvalidSpec',
      /ssh_host_ed25519_key\.pub/,
    ],
    ['no key', { machine: machine() }, 'NoIdentity', /spec\.identity\.sshHostKey is not set/],
    [
      'key of others',
      { keyKeeper: elder },
      'DuplicateKey',
      /^its SSH host key is that of the older NixMachine elder, which keeps it\. Delete this one/,
    ],
    ['on hold', { machine: withSpec({ hold: { reason: 'disk swap' } }) }, 'OnHold', /^on hold: disk swap$/],
    ['no config', { config: undefined }, 'NoConfig', /^there is no NixConfig web/],
    ['no config, just made', { config: undefined, machine: withSpec({}, young) }, undefined, /./],
    ['nothing is built at all', { config: config({}, false), isSelected: false }, undefined, /./],
    [
      'its closure failed',
      { closure: failure },
      'NotBuilt',
      /^3f9c2ab is not built for it: the option x does not exist$/,
    ],
    ['built later', { closure: { kind: 'none' } }, undefined, /./],
    ['no Rollout', { isSelected: false }, 'NoRollout', /^no Rollout selects it: /],
    ['needs no Rollout', { isSelected: false, config: config({ delivery: 'Immediate' }) }, undefined, /./],
  ])('%s', (_name, over, reason, message) => {
    const next = plan(over).write?.next.status;
    expect(next?.waiting?.reason).toBe(reason);
    expect(next?.conditions?.find((c) => c.type === 'Ready')?.message).toMatch(message);
  });

  test('spec and key errors stall it', () => {
    const stalled = (over: Partial<MachineSnapshot>) =>
      plan(over).write?.next.status?.conditions?.find((c) => c.type === 'Stalled')?.status;
    expect(stalled({ machine: withSpec({ activation: { timeout: 'soon' } }) })).toBe('True');
    expect(stalled({ keyKeeper: elder })).toBe('True');
    expect(stalled({ isSelected: false })).toBe('False');
  });
});

describe('writes', () => {
  test('a spec that was looked at is one write, the next look none', () => {
    const first = plan();
    expect(first.write?.next.status?.observedGeneration).toBe(1);
    expect(first.write?.next.status?.conditions?.[0]?.observedGeneration).toBe(1);
    const next = first.write?.next ?? withSpec({});
    expect(plan({ machine: next }, new Date('2026-03-02T00:00:00Z')).write).toBeUndefined();
  });

  test('a reason keeps since when it holds', () => {
    const next = plan({ isSelected: false }).write?.next ?? withSpec({});
    const later = new Date('2026-03-02T00:00:00Z');
    expect(plan({ machine: next, isSelected: false }, later).write).toBeUndefined();
    expect(plan({ machine: next }, later).write?.patch.status['waiting']).toBeNull();
  });
});

describe('time', () => {
  test('a hold ends by itself', () => {
    const held = withSpec({ hold: { reason: 'x', until: '2026-03-01T10:00:30Z' } });
    expect(plan({ machine: held }).nextCheckSeconds).toBe(30);
    const after = plan({ machine: held }, new Date('2026-03-01T10:00:30Z'));
    expect(after.nextCheckSeconds).toBeUndefined();
    expect(after.write?.next.status?.waiting).toBeUndefined();
  });

  test('a missing config is said after its grace', () => {
    expect(plan({ config: undefined, machine: withSpec({}, young) }).nextCheckSeconds).toBe(3);
  });

  test.each<[string, number | undefined, boolean, number | undefined]>([
    ['lives', undefined, true, undefined],
    ['may come back', 12, true, 12],
    ['is gone', 0, false, undefined],
  ])('the replica %s', (_name, replicaGoneIn, online, nextCheckSeconds) => {
    const made = plan({ replicaGoneIn });
    expect(made.write?.next.status?.connection?.online).toBe(online);
    expect(made.nextCheckSeconds).toBe(nextCheckSeconds);
    expect(made.wentOffline).toBe(!online);
  });
});

test('planning what was planned changes nothing, whatever the snapshot', () => {
  const anySnapshot = fc.record({
    machine: fc.constantFrom(
      withSpec({}),
      withSpec({ hold: { reason: 'x' } }),
      machine(),
      withSpec({ activation: { timeout: '?' } }),
    ),
    config: fc.constantFrom(undefined, config(), config({ delivery: 'Immediate' }), config({}, false)),
    closure: fc.constantFrom<MachineSnapshot['closure']>({ kind: 'none' }, failure),
    isSelected: fc.boolean(),
    keyKeeper: fc.constantFrom(undefined, elder),
    replicaGoneIn: fc.constantFrom(undefined, 0, 5),
  });
  fc.assert(
    fc.property(anySnapshot, (given) => {
      const next = planMachine(given, NOW).write?.next ?? given.machine;
      expect(planMachine({ ...given, machine: next }, NOW).write).toBeUndefined();
    }),
  );
});
