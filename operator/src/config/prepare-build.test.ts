import { SIGNING_KEY_SECRET } from '@floe/crds/constants';
import { makeKeyPair } from '@floe/crds/nix-key';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { secrets } from '../kube/resource.ts';
import { config } from './config.fixture.ts';
import { prepareBuild } from './prepare-build.ts';
import { secretReader } from './read-secret.ts';

const { signal } = new AbortController();
let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(() => api.close());

function prepare(of = config()) {
  const client = api.client();
  return prepareBuild(of, { client, readSecret: secretReader(client), signal });
}

function seedKey(data: Record<string, string>): void {
  const base64 = Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  api.seed(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: SIGNING_KEY_SECRET, namespace: 'demo' },
    data: base64,
  });
}

test('a key is made once, and many configs that need it at the same time share it', async () => {
  const made = await Promise.all([prepare(), prepare(), prepare()]);
  expect(made.filter((found) => found.made)).toHaveLength(1);
  expect(new Set(made.map(({ preparation }) => JSON.stringify(preparation))).size).toBe(1);
  expect(made[0]?.preparation).toMatchObject({ kind: 'ready', publicKey: expect.stringMatching(/^demo-floe-1:/) });
  expect(api.list(secrets)).toHaveLength(1);
});

test('a given key is used as it is; its public half is computed, not believed', async () => {
  const pair = makeKeyPair('mine-1');
  seedKey({ secret: `${pair.secret}\n`, public: 'other:AAAA' });
  expect((await prepare()).preparation).toEqual({ kind: 'ready', publicKey: pair.public });
});

test.each([
  [{ secret: 'not a key' }, 'holds no signing key'],
  [{ public: 'x' }, 'has no key `secret`'],
])('a malformed key is named and left alone: %o', async (data, message) => {
  seedKey(data);
  const before = api.list(secrets);
  const { preparation } = await prepare();
  expect(preparation).toMatchObject({
    kind: 'problem',
    problem: { reason: 'SigningKeyInvalid', field: 'Secret floe-signing-key', remedy: expect.any(String) },
  });
  expect(JSON.stringify(preparation)).toContain(message);
  expect(JSON.stringify(preparation)).not.toContain('not a key');
  expect(api.list(secrets)).toEqual(before);
});

test('a Secret that the Job would mount is missing', async () => {
  const of = config({ source: { git: { url: 'https://x/y', secretRef: { name: 'login' } } } });
  expect((await prepare(of)).preparation).toMatchObject({
    problem: {
      reason: 'SecretMissing',
      field: 'spec.source.git.secretRef.name',
      message: 'there is no Secret login in namespace demo',
    },
  });
});

test.each(['floe-signing-key', 'floe-cache-credentials'])('%s is no Secret of a source', async (name) => {
  const spec = config().spec;
  const of = { ...config(), spec: { ...spec, source: { ...spec.source, inputsSecretRef: { name } } } };
  expect((await prepare(of)).preparation).toMatchObject({
    kind: 'problem',
    problem: { reason: 'InvalidSpec', field: 'spec.source.inputsSecretRef.name', transient: false },
  });
});
