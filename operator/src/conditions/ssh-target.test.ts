// Which specs of machines that are reached by SSH are refused.
import type { NixMachineSpec } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { machine } from './machine.fixture.ts';
import { sshFault, sshTargetOf } from './ssh-target.ts';

const identity = { sshHostKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQRwP8Ib2lOVqGZ0oFNzAyf9CknLQmfvpyXu9JzPjxA' };
const target = { ssh: { host: 'web-01', secretRef: { name: 'floe-ssh' } } };

test.each<[string, Partial<NixMachineSpec>, string | undefined]>([
  ['an agent', { identity }, undefined],
  ['an agent, said so', { identity, target: { agent: {} }, activation: { drift: 'Revert' } }, undefined],
  ['ssh', { identity, target }, undefined],
  [
    'ssh with what works',
    { identity, target, activation: { mode: 'boot', specialisation: 'x', reboot: 'Never' } },
    undefined,
  ],
  ['both', { identity, target: { ...target, agent: {} } }, 'exactly one of'],
  ['ssh without an identity', { target }, 'identity.sshHostKey'],
  [
    'ssh that restarts',
    { identity, target, activation: { reboot: 'WhenRequired' } },
    'activation.reboot: WhenRequired',
  ],
  ['ssh with drift put back', { identity, target, activation: { drift: 'Revert' } }, 'activation.drift: Revert'],
  ['ssh with consent', { identity, target, activation: { consent: 'Ask' } }, 'activation.consent: Ask'],
  ['ssh of a laptop', { identity, target, activation: { confirm: 'WhenOnline' } }, 'activation.confirm: WhenOnline'],
  ['ssh with generations', { identity, target, activation: { generations: { keep: 3 } } }, 'activation.generations'],
  [
    'ssh with a check of units',
    { identity, target, activation: { healthChecks: [{ name: 'web', systemd: { units: ['nginx.service'] } }] } },
    undefined,
  ],
  [
    'ssh with a check of a port',
    { identity, target, activation: { healthChecks: [{ name: 'web', tcp: { port: 80 } }] } },
    undefined,
  ],
  [
    'ssh with a check by name',
    { identity, target, activation: { healthChecks: [{ name: 'web', named: 'tables' }] } },
    'a health check by name',
  ],
])('%s', (_, spec, fault) => {
  const { identity: _identity, ...plain } = machine().spec;
  const one = { ...machine(), spec: { ...plain, ...spec } };
  expect(sshTargetOf(one) === undefined).toBe(spec.target?.ssh === undefined);
  if (fault === undefined) expect(sshFault(one)).toBeUndefined();
  else expect(sshFault(one)).toContain(fault);
});
