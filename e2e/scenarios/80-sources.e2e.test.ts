// Every kind of source that a NixConfig may have, each built on the real cluster, and what each revision holds then.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixConfigSpec } from '@floe/crds/nix-config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeSshKey, type SshAccess } from '../bed/ssh-server.ts';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { freshMarker } from '../src/scene.ts';
import { type Seen, Tenant } from '../src/tenant.ts';

const HOST = 'http://10.250.0.1:8418';
const PASSWORD = 'pass:w@rd/1';

let floe: Installation;
let tenant: Tenant;

beforeAll(async () => {
  floe = await laneInstallation();
  tenant = await Tenant.create(floe, 'sources');
});
afterAll(() => tenant?.remove());

/** A config with one machine `of-NAME`, whose host name is `web` in every flake here. */
async function apply(name: string, spec: NixConfigSpec, labels: Record<string, string> = {}): Promise<void> {
  const machine = {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: { name: `of-${name}`, namespace: tenant.namespace, labels },
    spec: { configRef: { name }, hostName: 'web' },
  };
  await tenant.apply(tenant.config(name, { interval: '1h', ...spec }), machine);
}

async function closureOf(name: string): Promise<string> {
  const record = (await tenant.records(name)).at(-1);
  const closure = record?.machines[`of-${name}`] ?? record?.default;
  if (closure === undefined) throw new Error(`there is no closure of ${name}: ${JSON.stringify(record)}`);
  return closure;
}

function sourceOf({ config }: Seen): string {
  return config.status?.revision?.source ?? '';
}

describe('one repository', () => {
  const url = `${HOST}/refs.git`;
  const commits: Record<'old' | 'tagged' | 'side' | 'main', string> = { old: '', tagged: '', side: '', main: '' };
  const seen: Record<string, Seen> = {};

  beforeAll(async () => {
    const content = (text: string) => ({
      machines: { web: '{ }' },
      common: `{ services.hello.enable = true; services.hello.greeting = "${text}"; }`,
    });
    const marker = freshMarker();
    commits.old = (await tenant.publish('refs', content(`old ${marker}`))).commit;
    commits.tagged = (await tenant.publish('refs', content(`tagged ${marker}`), { tag: 'v1.0' })).commit;
    commits.side = (await tenant.publish('refs', content(`side ${marker}`), { branch: 'side/branch' })).commit;
    commits.main = (await tenant.publish('refs', content(`main ${marker}`), { path: 'hosts/nix' })).commit;
    await apply('by-commit', { source: { git: { url, ref: { commit: commits.old } } } });
    await apply('by-tag', { source: { git: { url, ref: { tag: 'v1.0' } } } });
    await apply('by-branch', { source: { git: { url, ref: { branch: 'side/branch' } } } });
    await apply('by-path', { source: { git: { url, ref: { branch: 'main' }, path: 'hosts/nix' } } });
    await apply('by-flake', { source: { flake: `git+${url}?ref=main&dir=hosts/nix` } });
    const names = ['by-commit', 'by-tag', 'by-branch', 'by-path', 'by-flake'];
    const all = await Promise.all(names.map((name) => tenant.untilBuilt(name, undefined, { timeoutSeconds: 240 })));
    for (const [index, name] of names.entries()) Object.assign(seen, { [name]: all[index] });
  });

  test.each([
    ['by-commit', 'old', ''],
    ['by-tag', 'tagged', 'v1.0@'],
    ['by-branch', 'side', 'side/branch@'],
    ['by-path', 'main', 'main@'],
    ['by-flake', 'main', 'refs@'],
  ] as const)('%s is that commit', (name, commit, shown) => {
    const found = seen[name];
    if (found === undefined) throw new Error(`${name} was not built`);
    expect(sourceOf(found)).toBe(`${shown}${commits[commit].slice(0, 7)}`);
    expect(found.config.status?.revision?.locked).toContain(commits[commit]);
  });

  test('what differs in the source differs in the closure, and the way to it makes no difference', async () => {
    const names = ['by-commit', 'by-tag', 'by-branch', 'by-path'];
    const closures = await Promise.all(names.map(closureOf));
    expect(new Set(closures).size).toBe(4);
    expect(await closureOf('by-flake')).toBe(closures[3]);
  });
});

describe('a private repository', () => {
  let url: string;
  beforeAll(async () => {
    const content = { machines: { web: '{ }' }, common: `{ test.marker = "${freshMarker()}"; }` };
    ({ url } = await tenant.publish('private', content, { credentials: `bot:${PASSWORD}` }));
  });

  test('without, with wrong and with right credentials', async () => {
    await apply('private', { source: { git: { url } } });
    const without = await tenant.untilReason('private', 'SourceFailed');
    expect(without.ready.message).toContain('spec.source.git.secretRef');
    expect(without.ready.message).toContain('the credentials are missing or refused');
    await tenant.apply(tenant.secret('login', { username: 'bot', password: 'a-wrong-word' }));
    await apply('private', { source: { git: { url, secretRef: { name: 'login' } } } });
    const wrong = await tenant.untilReason('private', 'SourceFailed');
    expect(wrong.ready.message).toContain('the credentials are missing or refused');
    expect(JSON.stringify(wrong.config.status)).not.toContain('a-wrong-word');
    // A new password is read at the next look: nobody has to touch the NixConfig.
    await tenant.apply(tenant.secret('login', { username: 'bot', password: PASSWORD }));
    const right = await tenant.untilBuilt('private');
    expect(JSON.stringify(right.config.status)).not.toContain('pass:w');
  });

  test('no credential reaches the container that builds, nor any record', async () => {
    const [record] = await tenant.records('private');
    expect(JSON.stringify(record)).not.toMatch(/pass(:|%3A)w/);
    expect(record?.locked).toContain(`git+${url}`);
  });

  test('nor does a flake get it that names its file as an input', async () => {
    const folder = await tenant.folder('thief');
    await mkdir(folder, { recursive: true });
    const flake = `{
      inputs.login = { url = "path:/floe/source-secret"; flake = false; };
      outputs = { self, login }: throw (builtins.readFile "\${login}/password");
    }`;
    await writeFile(join(folder, 'flake.nix'), flake);
    const { url: thief } = await floe.cluster.sources.publish('thief', folder);
    await apply('thief', { source: { git: { url: thief, secretRef: { name: 'login' } } } });
    const { ready, config } = await tenant.untilReason('thief', 'FetchFailed');
    expect(ready.message).toContain('spec.source: the input login is /floe/source-secret, a path of the build Job');
    expect(JSON.stringify(config.status)).not.toContain('pass:w');
  });

  test('as an input of a public flake: fetched with the Secret of inputsSecretRef, built without it', async () => {
    const folder = await tenant.folder('public');
    await mkdir(folder, { recursive: true });
    const flake = `{
      inputs.fleet.url = "git+${url}";
      outputs = { self, fleet }: { nixosConfigurations.web = fleet.nixosConfigurations.web; };
    }`;
    await writeFile(join(folder, 'flake.nix'), flake);
    const source = { git: { url: (await floe.cluster.sources.publish('public', folder)).url } };
    await apply('private-input', { source });
    const without = await tenant.untilReason('private-input', 'FetchFailed');
    expect(without.ready.message).toContain('spec.source.inputsSecretRef');
    expect(without.ready.message).toContain('input fleet: the credentials are missing or refused');
    const netrc = `machine 10.250.0.1 login bot password ${PASSWORD}\n`;
    await tenant.apply(tenant.secret('inputs', { netrc }));
    await apply('private-input', { source: { ...source, inputsSecretRef: { name: 'inputs' } } });
    const { config } = await tenant.untilBuilt('private-input', undefined, { timeoutSeconds: 180 });
    expect(await closureOf('private-input')).toBe(await closureOf('private'));
    expect(JSON.stringify(config.status)).not.toContain('pass:w');
  });
});

describe('over SSH', () => {
  const GOOD = 'git-over-ssh';
  let ssh: SshAccess;
  let stranger: { identity: string; hostKey: string };
  let commit: string;

  beforeAll(async () => {
    ssh = await floe.cluster.sources.overSsh();
    const content = { machines: { web: '{ }' }, common: `{ test.marker = "${freshMarker()}"; }` };
    ({ commit } = await tenant.publish('over-ssh', content));
    const folder = await tenant.folder('ssh-stranger');
    await mkdir(folder, { recursive: true });
    await makeSshKey(join(folder, 'key'));
    stranger = {
      identity: await readFile(join(folder, 'key'), 'utf8'),
      hostKey: (await readFile(join(folder, 'key.pub'), 'utf8')).trim(),
    };
    await tenant.apply(
      tenant.secret(GOOD, { identity: ssh.identity, known_hosts: ssh.knownHosts }),
      tenant.secret('ssh-no-key', { known_hosts: ssh.knownHosts }),
      tenant.secret('ssh-no-hosts', { identity: ssh.identity }),
      tenant.secret('ssh-other-host', { identity: ssh.identity, known_hosts: `git.example.com ${stranger.hostKey}` }),
      tenant.secret('ssh-wrong-host', { identity: ssh.identity, known_hosts: `[10.250.0.1]:2222 ${stranger.hostKey}` }),
      tenant.secret('ssh-wrong-key', { identity: stranger.identity, known_hosts: ssh.knownHosts }),
    );
  });

  const source = (secret?: string, ref?: { commit: string }): NixConfigSpec => ({
    source: {
      git: {
        url: ssh.url('over-ssh'),
        ...(ref === undefined ? {} : { ref }),
        ...(secret === undefined ? {} : { secretRef: { name: secret } }),
      },
    },
  });

  test.each([
    ['no Secret', undefined, 'SecretIncomplete', 'an ssh:// URL needs identity; name a Secret with the keys identity'],
    ['no key', 'ssh-no-key', 'SecretIncomplete', 'an ssh:// URL needs identity; name a Secret with the keys identity'],
    ['no host key', 'ssh-no-hosts', 'SecretIncomplete', 'an ssh:// URL needs known_hosts; name a Secret with the keys'],
    ['another host', 'ssh-other-host', 'SourceFailed', 'known_hosts has no line for [10.250.0.1]:2222; put the server'],
    ['a wrong host key', 'ssh-wrong-host', 'SourceFailed', "is not the one in known_hosts; put the server's line"],
    ['a wrong key', 'ssh-wrong-key', 'SourceFailed', 'the credentials are missing or refused; give a Secret with'],
  ])('%s: the condition names the field and the remedy', async (_what, secret, reason, words) => {
    await apply('over-ssh', source(secret));
    const { ready, config } = await tenant.untilReason('over-ssh', reason);
    expect(ready.message).toMatch(/^spec\.source\.git\.secretRef: /);
    expect(ready.message).toContain(words);
    expect(JSON.stringify(config.status)).not.toContain('PRIVATE KEY');
  });

  test('with the right key and the right host key it is built, by branch and by commit', async () => {
    await apply('over-ssh', source(GOOD));
    await apply('ssh-commit', source(GOOD, { commit }));
    const { config } = await tenant.untilBuilt('over-ssh', commit, { timeoutSeconds: 240 });
    expect(config.status?.revision?.locked).toContain(`git+${ssh.url('over-ssh')}?`);
    await tenant.untilBuilt('ssh-commit', commit, { timeoutSeconds: 180 });
    expect(await closureOf('ssh-commit')).toBe(await closureOf('over-ssh'));
    expect(JSON.stringify(await tenant.records('over-ssh'))).not.toContain('PRIVATE KEY');
  });

  test('a commit that nobody had to ask for: the Job that fetches it says the same of a wrong host key', async () => {
    await apply('ssh-commit-wrong', source('ssh-wrong-host', { commit }));
    const { ready } = await tenant.untilReason('ssh-commit-wrong', 'FetchFailed', { timeoutSeconds: 180 });
    expect(ready.message).toContain('spec.source.git.secretRef: ');
    expect(ready.message).toContain("is not the one in known_hosts; put the server's line");
  });
});

describe('what is added to a source', () => {
  beforeAll(async () => {
    const marker = `{ test.marker = "${freshMarker()}"; }`;
    const files = await tenant.files({ machines: { web: '{ }', db: '{ }' }, common: marker });
    const inline = { inline: { files } };
    const base = await tenant.publish('base', { machines: { web: '{ }' }, common: marker });
    const other = await tenant.publish('other', { machines: { web: '{ test.marker = "other"; }' } });
    const folder = await tenant.folder('pinned');
    await mkdir(folder, { recursive: true });
    const flake = `{
      inputs.fleet.url = "git+${base.url}";
      outputs = { self, fleet }: { nixosConfigurations.web = fleet.nixosConfigurations.web; };
    }`;
    await writeFile(join(folder, 'flake.nix'), flake);
    const pinned = { git: { url: (await floe.cluster.sources.publish('pinned', folder)).url } };
    await apply('plain', { source: inline });
    await apply('modules', {
      source: inline,
      modules: ['{ boot.kernelVersion = "6.99.1"; }', '{ lib, ... }: { test.marker = lib.mkForce "added"; }'],
    });
    await apply('wrong-module', { source: inline, modules: ['{ }', '{ services.helo.enable = true; }'] });
    await apply('pinned', { source: pinned });
    await apply('repinned', { source: pinned, inputs: { fleet: `git+${other.url}` } });
    await apply('wrong-input', { source: pinned, inputs: { nixpkgs: `git+${other.url}` } });
    await apply('shared', { source: inline, attribute: 'nixosConfigurations.db' });
    await apply('by-role', { source: inline, attribute: 'nixosConfigurations.{label:role}' }, { role: 'db' });
    await tenant.apply(...tenant.machines('shared', ['shared-2', 'shared-3']));
  });

  test('inline files are a flake', async () => {
    const found = await tenant.untilBuilt('plain', undefined, { timeoutSeconds: 240 });
    expect(sourceOf(found)).toMatch(/^inline@[0-9a-f]{7}$/);
    expect(await closureOf('plain')).toContain('-nixos-system-web-');
  });

  test('modules go on top, and a mistake in one names its field', async () => {
    await tenant.untilBuilt('modules', undefined, { timeoutSeconds: 180 });
    expect(await closureOf('modules')).not.toBe(await closureOf('plain'));
    const { ready } = await tenant.untilReason('wrong-module', 'EvaluationFailed', { timeoutSeconds: 180 });
    expect(ready.message).toContain('the option services.helo does not exist');
    expect(ready.message).toContain('(spec.modules[1])');
  });

  test('inputs replaces a pin, and one that the flake does not have is named', async () => {
    await tenant.untilBuilt('pinned', undefined, { timeoutSeconds: 180 });
    await tenant.untilBuilt('repinned', undefined, { timeoutSeconds: 180 });
    expect(await closureOf('pinned')).toContain('-nixos-system-web-');
    expect(await closureOf('repinned')).not.toBe(await closureOf('pinned'));
    const { ready } = await tenant.untilReason('wrong-input', 'FetchFailed', { timeoutSeconds: 180 });
    expect(ready.message).toContain('spec.inputs.nixpkgs');
    expect(ready.message).toContain('the flake has no input "nixpkgs"');
  });

  test('an attribute without placeholder: three machines, one closure; a label chooses another', async () => {
    const { config } = await tenant.untilBuilt('shared', undefined, { timeoutSeconds: 180 });
    expect(config.status?.machines).toMatchObject({ total: 3, built: 3 });
    expect(config.status?.history?.[0]).toMatchObject({ closures: 1, default: await closureOf('shared') });
    await tenant.untilBuilt('by-role', undefined, { timeoutSeconds: 180 });
    expect(await closureOf('by-role')).toBe(await closureOf('shared'));
    expect(await closureOf('shared')).toContain('-nixos-system-db-');
  });
});
