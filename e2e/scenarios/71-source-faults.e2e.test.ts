// Sources that can't be had: each a condition that names the field and the remedy, and each heals once it is mended.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixConfigSpec } from '@floe/crds/nix-config';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { Tenant } from '../src/tenant.ts';

const HOST = 'http://10.250.0.1:8418';
const GOOD = `${HOST}/good.git`;

type Git = NonNullable<NixConfigSpec['source']['git']>;
interface Fault {
  readonly name: string;
  readonly source: NixConfigSpec['source'];
  readonly reason: string;
  /** What the condition must say: the field, what is wrong, what to do. */
  readonly says: readonly (string | RegExp)[];
}

const git = (more: Git): NixConfigSpec['source'] => ({ git: more });
const FAULTS: readonly Fault[] = [
  {
    name: 'unknown-host',
    source: git({ url: 'http://git.no-such-host.example/fleet.git' }),
    reason: 'SourceFailed',
    says: ['spec.source.git.url', 'the host git.no-such-host.example is not known', 'check the host in the URL'],
  },
  {
    name: 'silent-port',
    source: git({ url: 'http://10.250.0.1:9/fleet.git' }),
    reason: 'SourceFailed',
    says: ['spec.source.git.url', "can't be reached", 'check host and port'],
  },
  {
    name: 'no-repository',
    source: git({ url: `${HOST}/nothing.git` }),
    reason: 'SourceFailed',
    says: ['spec.source.git.url', 'nothing is at that address', 'check the URL'],
  },
  {
    name: 'no-branch',
    source: git({ url: GOOD, ref: { branch: 'mian' } }),
    reason: 'SourceFailed',
    says: ['spec.source.git.ref.branch', 'has no branch mian', 'push it, or change the field'],
  },
  {
    name: 'no-tag',
    source: git({ url: GOOD, ref: { tag: 'v9' } }),
    reason: 'SourceFailed',
    says: ['spec.source.git.ref.tag', 'has no tag v9'],
  },
  {
    name: 'option-as-branch',
    source: git({ url: GOOD, ref: { branch: '--upload-pack=sh' } }),
    reason: 'InvalidSpec',
    says: ['spec.source.git.ref.branch', "can't name a branch"],
  },
  {
    name: 'password-in-url',
    source: git({ url: 'http://bot:hunter2@10.250.0.1:8418/good.git' }),
    reason: 'InvalidSpec',
    says: ['spec.source.git.url', 'holds a password', 'secretRef'],
  },
  {
    name: 'no-secret',
    source: git({ url: GOOD, secretRef: { name: 'login' } }),
    reason: 'SecretMissing',
    says: ['spec.source.git.secretRef.name', 'there is no Secret login in namespace source-faults', 'create it'],
  },
  {
    name: 'flake-away',
    source: { flake: `git+${HOST}/nothing.git` },
    reason: 'SourceFailed',
    says: ['spec.source.flake', 'nothing is at that address'],
  },
  {
    name: 'path-flake',
    source: { flake: './fleet' },
    reason: 'InvalidSpec',
    says: ['spec.source.flake', 'no build Job can see', 'use spec.source.git or spec.source.inline'],
  },
];

let floe: Installation;
let tenant: Tenant;

beforeAll(async () => {
  floe = await laneInstallation();
  tenant = await Tenant.create(floe, 'source-faults');
  await tenant.publish('good', { machines: { web: '{ }' } });
  const configs = FAULTS.map(({ name, source }) => tenant.config(name, { source, interval: '5s' }));
  const machines = FAULTS.flatMap(({ name }) => tenant.machines(name, [`of-${name}`]));
  await tenant.apply(...configs, ...machines);
});
afterAll(() => tenant?.remove());

test.each(FAULTS)('$name', async ({ name, reason, says }) => {
  const { ready, config } = await tenant.untilReason(name, reason, { timeoutSeconds: 60 });
  expect(ready.status).toBe('False');
  for (const words of says) expect(ready.message).toMatch(words);
  expect(ready.message).not.toContain('hunter2');
  expect(config.status?.revision).toBeUndefined();
});

test('none of them started a Job', async () => {
  expect(await tenant.jobs()).toEqual([]);
  expect(await tenant.started('no-branch')).toEqual([]);
});

test('what was mended outside heals by itself: the branch is pushed, the Secret is there', async () => {
  await tenant.publish('good', { machines: { web: '{ }', 'of-no-branch': '{ }' } }, { branch: 'mian' });
  await tenant.publish('good', { machines: { web: '{ }', 'of-no-secret': '{ }' } });
  await tenant.apply(tenant.secret('login', { username: 'bot', password: 'whatever' }));
  const [branch, secret] = await Promise.all([tenant.untilBuilt('no-branch'), tenant.untilBuilt('no-secret')]);
  expect(branch.config.status?.revision?.source).toMatch(/^mian@/);
  expect(secret.ready.status).toBe('True');
});

test('a repository without flake.nix', async () => {
  const folder = await tenant.folder('readme');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'README.md'), 'Nothing to build yet.\n');
  const { url } = await floe.cluster.sources.publish('readme', folder);
  await tenant.apply(tenant.config('no-flake', { source: git({ url }) }), ...tenant.machines('no-flake', ['web']));
  const { ready } = await tenant.untilReason('no-flake', 'FetchFailed');
  for (const words of ['spec.source', 'there is no flake.nix at its root', 'spec.source.git.path', 'tried again at']) {
    expect(ready.message).toContain(words);
  }
  expect((await tenant.get('no-flake')).status?.build).toMatchObject({ phase: 'Failed', attempts: 1 });
  // The fix is a commit: nobody has to wait for the next try of the old one.
  const { commit } = await tenant.publish('readme', { machines: { web: '{ }' } });
  await tenant.untilBuilt('no-flake', commit);
});

test('an attribute that the flake does not have, and one that is none', async () => {
  const source = git({ url: GOOD });
  await tenant.apply(
    tenant.config('no-attribute', { source, attribute: 'machines.{machine}' }),
    tenant.config('bad-attribute', { source, attribute: 'nixosConfigurations..{machine}' }),
    tenant.config('no-label', { source, attribute: 'nixosConfigurations.{label:role}' }),
    ...tenant.machines('no-attribute', ['alpha']),
    ...tenant.machines('bad-attribute', ['beta']),
    ...tenant.machines('no-label', ['gamma']),
  );
  const [missing, malformed, label] = await Promise.all([
    tenant.untilReason('no-attribute', 'EvaluationFailed'),
    tenant.until('bad-attribute', 'no attribute path', ({ ready }) => ready.message.includes('no attribute path')),
    tenant.untilReason('no-label', 'EvaluationFailed'),
  ]);
  expect(missing.ready.message).toMatch(/^alpha: the flake has no machines; it has .*nixosConfigurations/);
  expect(missing.config.status?.revision).toBeUndefined();
  expect(malformed.ready.message).toContain('spec.attribute');
  expect(malformed.ready.message).toContain('write names with dots between them');
  expect(label.ready.message).toContain('gamma: the NixMachine has no label role');
  expect(await tenant.started('no-label')).toEqual([]);
});
