// What of spec.activation an order carries.
import type { Activation } from '@floe/crds/activation';
import type { Desired } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { activationOrder } from './activation-order.ts';

const desired: Desired = {
  id: 'order-1',
  sequence: 1,
  revision: 'aaaaaaaaaaaa',
  closure: '/nix/store/00000000000000000000000000000000-a',
  reason: 'Rollout',
  go: true,
  since: '2026-01-01T00:00:00Z',
};

test.each<{ name: string; activation: Partial<Activation>; given?: Partial<Desired>; told: object }>([
  { name: 'defaults are left out', activation: {}, told: {} },
  {
    name: 'never, whatever the Rollout says',
    activation: { reboot: 'Never' },
    given: { reboot: true },
    told: { rebootPolicy: 'Never' },
  },
  {
    name: 'when required: at once',
    activation: { reboot: 'WhenRequired' },
    told: { rebootPolicy: 'WhenRequired', reboot: true },
  },
  { name: 'in a window, not yet', activation: { reboot: 'InWindow' }, told: { rebootPolicy: 'InWindow' } },
  {
    name: 'in a window, now',
    activation: { reboot: 'InWindow' },
    given: { reboot: true },
    told: { rebootPolicy: 'InWindow', reboot: true },
  },
  {
    name: 'the way back',
    activation: { rollback: { timeout: '90s', rebootAfter: '0s', degraded: 'Keep' } },
    told: { rollbackTimeoutSeconds: 90, rollbackRebootAfterSeconds: 0, keepDegraded: true },
  },
  {
    name: 'a laptop with a specialisation',
    activation: { confirm: 'WhenOnline', specialisation: 'quiet' },
    told: { confirmPolicy: 'WhenOnline', specialisation: 'quiet' },
  },
  { name: 'a limit that is none', activation: { rollback: { timeout: '0s' } }, told: { rollbackTimeoutSeconds: 1 } },
])('$name', ({ activation, given = {}, told }) => {
  expect(activationOrder(activation, { ...desired, ...given })).toEqual({ reason: 'Rollout', ...told });
});
