import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachineSpec } from '@floe/crds/nix-machine';
import { parseHubMessage } from '@floe/crds/parse-hub';
import { describe, expect, test } from 'vitest';
import { desired, machine, NEW, OLD, running } from '../conditions/machine.fixture.ts';
import { desiredMessage } from './desired-message.ts';
import { judge } from './verdict.ts';

const NOW = new Date('2026-03-01T10:00:00Z');
const config: NixConfig = {
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixConfig',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { source: { flake: 'x' } },
  status: { cache: { url: 'https://cache.example/shop', publicKey: 'shop-floe-1:x' } },
};
const hold = { reason: 'disk swap', until: '2026-03-01T11:00:00Z' };

describe('the order of a machine', () => {
  const make = (spec: Partial<NixMachineSpec> = {}, go = true) =>
    desiredMessage(machine(running({ desired: desired({ go }) }), spec), config, NOW);

  test('is what its agent accepts', () => {
    const message = make({
      activation: {
        mode: 'boot',
        timeout: '1h',
        confirmTimeout: '30s',
        healthChecks: [{ name: 'web', systemd: { units: ['nginx.service'] } }],
      },
    });
    expect(parseHubMessage(message)).toMatchObject({ ok: true });
    expect(message).toMatchObject({
      id: desired().id,
      sequence: 5,
      closure: NEW,
      go: true,
      mode: 'boot',
      switchTimeoutSeconds: 3600,
      confirmTimeoutSeconds: 30,
      substituters: ['https://cache.example/shop'],
    });
  });

  test.each<[string, Partial<NixMachineSpec>, boolean, object]>([
    [
      'defaults',
      {},
      true,
      { mode: 'switch', switchTimeoutSeconds: 600, confirmTimeoutSeconds: 120, healthChecks: [], go: true },
    ],
    ['fetch only', {}, false, { go: false }],
    ['on hold', { hold }, true, { go: false }],
    ['hold is over', { hold: { ...hold, until: '2026-03-01T09:00:00Z' } }, true, { go: true }],
    ['a time limit that can not be read', { activation: { timeout: 'soon' } }, true, { switchTimeoutSeconds: 600 }],
    ['a time limit of nothing', { activation: { timeout: '0s' } }, true, { switchTimeoutSeconds: 1 }],
    ['a time limit of a year', { activation: { timeout: '9000h' } }, true, { switchTimeoutSeconds: 86400 }],
  ])('%s', (_name, spec, go, wanted) => {
    expect(make(spec, go)).toMatchObject(wanted);
  });

  test('there is none before someone gave it, and no substituter before something was built', () => {
    expect(desiredMessage(machine(), config, NOW)).toBeUndefined();
    expect(desiredMessage(machine(running({ desired: desired() })), undefined, NOW)?.substituters).toEqual([]);
  });
});

describe('a confirmation', () => {
  const confirm = { type: 'confirm', attempt: desired().id, closure: NEW } as const;
  const told = machine(running({ desired: desired() }));
  test.each([
    ['what is desired', told, confirm, 'confirmed'],
    ['a deleted machine', undefined, confirm, 'UnknownMachine'],
    ['no order', machine(running()), confirm, 'NotDesired'],
    ['an older order', told, { ...confirm, attempt: 'old' }, 'Superseded'],
    ['another closure', told, { ...confirm, closure: OLD }, 'OtherClosure'],
    ['a go that was taken back too late', machine(running({ desired: desired({ go: false }) })), confirm, 'confirmed'],
    ['a machine on hold', machine(running({ desired: desired() }), { hold }), confirm, 'confirmed'],
  ])('%s', (_name, known, asked, wanted) => {
    const verdict = judge(known, asked);
    expect(parseHubMessage(verdict)).toMatchObject({ ok: true });
    expect(verdict.type === 'denied' ? verdict.reason : verdict.type).toBe(wanted);
  });
});
