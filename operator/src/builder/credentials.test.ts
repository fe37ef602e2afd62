import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cacheAccess } from './cache-access.ts';
import { fetchCredentials, readSecret, serverOf } from './credentials.ts';
import { BUILDER_PATHS } from './paths.ts';
import { makeScratch, type Scratch } from './scratch.ts';

let scratch: Scratch;
beforeEach(async () => {
  scratch = await makeScratch();
});
afterEach(async () => scratch.remove());

const text = async (name: string) => readFile(join(scratch.folder, name), 'utf8');

test.each([
  ['git+https://host:8443/x.git?ref=main', { origin: 'https://host:8443', host: 'host', user: '', isGit: true }],
  ['https://me@host/x.tar.gz', { origin: 'https://host', host: 'host', user: 'me', isGit: false }],
  ['github:a/b', undefined],
  ['git+ssh://git@host/x', undefined],
  ['git+file:///srv/x', undefined],
])('server of %s', (reference, server) => {
  expect(serverOf(reference)).toEqual(server);
});

test('git over https: a credential for that server alone, in a file that only we may read', async () => {
  const { variables, settings } = await fetchCredentials(
    'git+https://host/x.git',
    { source: { username: 'me\n', password: 'p@ss word\n' }, inputs: {} },
    scratch,
  );
  expect(await text('git-credentials')).toBe('https://me:p%40ss%20word@host\n');
  expect((await stat(join(scratch.folder, 'git-credentials'))).mode & 0o777).toBe(0o600);
  expect(await text('gitconfig')).toContain(`helper = "store --file=${join(scratch.folder, 'git-credentials')}"`);
  expect(JSON.stringify({ variables, settings })).not.toMatch(/p@ss|p%40ss/);
});

test('a bearer token goes to that server alone', async () => {
  await fetchCredentials('git+https://host/x.git', { source: { bearerToken: 'tok"en\n' }, inputs: {} }, scratch);
  expect(await text('gitconfig')).toContain('[http "https://host/"]\n\textraHeader = "Authorization: Bearer tok\\"en"');
  const two = fetchCredentials('git+https://host/x.git', { source: { bearerToken: 'a\nb' }, inputs: {} }, scratch);
  await expect(two).rejects.toThrow('more than one line');
});

test('a tarball takes netrc; inputs bring their own netrc and tokens', async () => {
  const { settings } = await fetchCredentials(
    'https://host/x.tar.gz',
    {
      source: { username: 'me', password: 'p"w' },
      inputs: { netrc: 'machine other login a password b\n', 'access-tokens': 'access-tokens = github.com=t\n' },
    },
    scratch,
  );
  const netrc = 'machine other login a password b\nmachine host login "me" password "p\\"w"\n';
  expect(await text('netrc')).toBe(netrc);
  expect(await text('home/.netrc')).toBe(netrc);
  expect(settings['access-tokens']).toBe('github.com=t');
});

test('ssh: keys of both Secrets, strict about host keys, asks nobody', async () => {
  const { variables } = await fetchCredentials(
    'git+ssh://git@host/x',
    {
      source: { identity: 'KEY', known_hosts: 'host ssh-ed25519 A' },
      inputs: { identity: 'KEY2', known_hosts: 'other ssh-ed25519 B\n' },
    },
    scratch,
  );
  expect(variables['GIT_SSH_COMMAND']).toMatch(
    /identity-source .*identity-inputs .*BatchMode=yes.*StrictHostKeyChecking=yes/,
  );
  expect(await text('identity-source')).toBe('KEY\n');
  expect(await text('known_hosts')).toBe('host ssh-ed25519 A\nother ssh-ed25519 B\n');
});

test('a Secret that is not mounted is empty', async () => {
  expect(await readSecret(join(scratch.folder, 'nope'))).toEqual({});
  await mkdir(join(scratch.folder, 's'));
  await writeFile(join(scratch.folder, 's', 'password'), 'x');
  await writeFile(join(scratch.folder, 's', 'unknown'), 'x');
  expect(await readSecret(join(scratch.folder, 's'))).toEqual({ password: 'x' });
});

test('the cache: the projected token for its host, or a Secret', async () => {
  const paths = { ...BUILDER_PATHS, cacheToken: join(scratch.folder, 'token'), cacheSecret: join(scratch.folder, 's') };
  await writeFile(paths.cacheToken, 'ey.a-b_c\n');
  await cacheAccess('http://cache.floe.svc:8080/team-a', paths, scratch);
  expect(await text('netrc')).toBe('machine cache.floe.svc login floe password ey.a-b_c\n');
  await writeFile(paths.cacheToken, 'a b');
  await expect(cacheAccess('http://cache/team-a', paths, scratch)).rejects.toThrow('characters');
  await mkdir(paths.cacheSecret);
  await writeFile(join(paths.cacheSecret, 'aws-credentials'), '[default]');
  const s3 = await cacheAccess('s3://bucket', paths, scratch);
  expect(s3.variables['AWS_SHARED_CREDENTIALS_FILE']).toBe(join(scratch.folder, 'aws-credentials'));
  expect(await text('netrc')).toBe('\n');
});
