// The signing key of a namespace, and a cache that is a folder on a shared volume: complete and signed there.
import { chown, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inBuildStore, tryInBuildStore } from '../bed/build-store.ts';
import { makeSigningKey } from '../bed/fleet.ts';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { freshMarker } from '../src/scene.ts';
import { Tenant } from '../src/tenant.ts';
import { upgrade } from '../src/upgrade.ts';

/** User of the image. */
const UID = 65532;
const SECRET = 'floe-signing-key';

let floe: Installation;
let tenant: Tenant;

beforeAll(async () => {
  floe = await laneInstallation();
  tenant = await Tenant.create(floe, 'keys');
});
afterAll(() => tenant?.remove());

async function publicKey(): Promise<string> {
  const text = await tenant.kubectl('get', 'secret', SECRET, '-o', 'jsonpath={.data.public}');
  return Buffer.from(text, 'base64').toString();
}

describe('the signing key', () => {
  beforeAll(async () => {
    await tenant.apply(tenant.secret(SECRET, { secret: 'not a key at all', public: 'neither' }));
    const files = await tenant.files({ machines: { web: '{ }' }, common: `{ test.marker = "${freshMarker()}"; }` });
    await tenant.apply(tenant.config('web', { source: { inline: { files } } }), ...tenant.machines('web', ['web']));
  });

  test('that is malformed is left alone, and the condition says what to write there', async () => {
    const { ready } = await tenant.untilReason('web', 'SigningKeyInvalid');
    expect(ready.message).toContain(`Secret ${SECRET}`);
    expect(ready.message).toContain('nix key generate-secret');
    expect(ready.message).not.toContain('not a key at all');
    expect(await publicKey()).toBe('neither');
    expect(await tenant.jobs()).toEqual([]);
  });

  test('is made on first use where there is none, and the status shows its public half', async () => {
    await tenant.kubectl('delete', 'secret', SECRET);
    const { config } = await tenant.untilBuilt('web', undefined, { timeoutSeconds: 180 });
    expect(await publicKey()).toMatch(/^keys-floe-1:[A-Za-z0-9+/]{43}=$/);
    expect(config.status?.cache?.publicKey).toBe(await publicKey());
  });

  test('that is given is used, and what was signed before is signed with it too', async () => {
    const given = await makeSigningKey('acme-prod-1');
    await tenant.apply(tenant.secret(SECRET, { ...given }));
    const files = await tenant.files({ machines: { web: '{ test.marker = "given"; }' } });
    await tenant.apply(tenant.config('web', { source: { inline: { files } } }));
    const { config } = await tenant.until(
      'web',
      'the given key to be shown',
      ({ config: { status }, ready }) => ready.reason === 'Built' && status?.cache?.publicKey === given.public,
      { timeoutSeconds: 180 },
    );
    expect(config.status?.history).toHaveLength(2);
  });
});

describe('a cache at file://', () => {
  let folder: string;

  beforeAll(async () => {
    folder = join(floe.cluster.dir, 'file-cache');
    await mkdir(folder, { recursive: true });
    await chown(folder, UID, UID);
    await upgrade(floe, {
      operator: {
        extraArgs: ['--cache-url=file:///cache/{namespace}', '--cache-substituter=file:///cache/{namespace}'],
      },
      build: {
        volumes: [{ name: 'cache', hostPath: { path: folder } }],
        volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
      },
    });
  });
  afterAll(async () => {
    await upgrade(floe, { operator: { extraArgs: [] }, build: { volumes: [], volumeMounts: [] } });
    await rm(folder, { recursive: true, force: true });
  });

  test('holds every path of a closure, with the signature of the namespace', async () => {
    const marker = freshMarker();
    const { commit } = await tenant.publish('files', {
      machines: { one: '{ }', two: '{ }' },
      common: `{ services.hello.enable = true; test.marker = "${marker}"; }`,
    });
    const source = { git: { url: 'http://10.250.0.1:8418/files.git' } };
    await tenant.apply(tenant.config('files', { source }), ...tenant.machines('files', ['one', 'two']));
    const { config } = await tenant.untilBuilt('files', commit, { timeoutSeconds: 180 });
    const { url, publicKey: key = '' } = config.status?.cache ?? {};
    expect(url).toBe('file:///cache/keys');
    const [record] = await tenant.records('files');
    const closures = Object.values(record?.machines ?? {});
    expect(new Set(closures).size).toBe(2);

    const cache = join(folder, 'keys');
    const names = (await readdir(cache)).filter((name) => name.endsWith('.narinfo'));
    expect(names.length).toBeGreaterThan(closures.length * 5);
    for (const name of names) {
      const text = await readFile(join(cache, name), 'utf8');
      expect(text, name).toContain(`Sig: ${key.split(':')[0]}:`);
      expect(text, name).toContain('Compression: zstd');
    }
    // Nix itself, which trusts nothing but that key, reads every path from there and hashes it.
    const verify = (trusted: string) => [
      ...['nix', 'store', 'verify', '--recursive', '--store', 'file:///cache'],
      ...['--option', 'trusted-public-keys', trusted, ...closures],
    ];
    await inBuildStore(verify(key), { binds: { '/cache': cache } });
    const { public: other } = await makeSigningKey(key.split(':')[0] ?? '');
    const untrusted = await tryInBuildStore(verify(other), { binds: { '/cache': cache } });
    expect(untrusted.code).not.toBe(0);
    expect(untrusted.stderr).toContain('untrusted');
  });

  test('serves the next build: only what is new is built', async () => {
    const { commit } = await tenant.publish('files', {
      machines: { one: '{ services.hello.greeting = "again"; }', two: '{ }' },
    });
    await tenant.untilBuilt('files', commit, { timeoutSeconds: 180 });
    const record = (await tenant.records('files')).at(-1);
    const again = await tenant.publish('files', {
      machines: { one: '{ services.hello.greeting = "again"; }', two: '{ } # the same' },
    });
    await tenant.untilBuilt('files', again.commit, { timeoutSeconds: 180 });
    const last = (await tenant.records('files')).at(-1);
    expect(last?.revision).not.toBe(record?.revision);
    expect(last?.machines).toEqual(record?.machines);
    expect(last?.summary.builtDerivations).toBe(0);
  });
});
