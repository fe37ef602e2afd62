import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ended, ProgramError, type RunProgram, runProgram } from '../nix/process.ts';
import type { GitSource } from './git-url.ts';
import type { Resolution } from './source.ts';
import { resolveGit } from './source-git.ts';

const { signal } = new AbortController();
const URL_ = 'https://git.example/acme/fleet.git';
const REV = '91ffe02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
const PEELED = '5b1c9d8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';

type Call = { command: string; args: readonly string[]; env: Readonly<Record<string, string>>; config: string };

/** git that answers what a test says, and tells what it was asked. */
function scripted(answer: Ended | Error | string): { run: RunProgram; calls: Call[] } {
  const calls: Call[] = [];
  const run: RunProgram = async ({ program, args, env }) => {
    calls.push({ command: program, args, env, config: await readFile(env['GIT_CONFIG_GLOBAL'] ?? '', 'utf8') });
    if (answer instanceof Error) throw answer;
    return typeof answer === 'string' ? { ...ENDED, stdout: answer } : answer;
  };
  return { run, calls };
}

const ENDED: Ended = { code: 0, endedBy: null, timedOut: false, stdout: '', stderr: '' };
const failing = (stderr: string): Ended => ({ ...ENDED, code: 128, stderr });
const problemOf = (found: Resolution) => (found.kind === 'problem' ? found.problem : undefined);
const sourceOf = (found: Resolution) => (found.kind === 'resolved' ? found.source : undefined);

describe('what a ref means', () => {
  const refs = `ref: refs/heads/trunk\tHEAD\n${REV}\tHEAD\n${REV}\trefs/heads/main\n${PEELED}\trefs/heads/x/refs/heads/main\n${REV}\trefs/tags/v1\n${PEELED}\trefs/tags/v1^{}\n`;
  test.each<{ ref: GitSource['ref']; path?: string; display: string; locked: string }>([
    { ref: undefined, display: 'trunk@91ffe02', locked: `?ref=refs/heads/trunk&rev=${REV}&shallow=1` },
    { ref: { branch: 'main' }, display: 'main@91ffe02', locked: `?ref=refs/heads/main&rev=${REV}&shallow=1` },
    { ref: { tag: 'v1' }, display: 'v1@5b1c9d8', locked: `?ref=refs/tags/v1&rev=${PEELED}&shallow=1` },
    { ref: { commit: REV }, display: '91ffe02', locked: `?rev=${REV}&shallow=1` },
    {
      ref: { branch: 'main' },
      path: './nix//fleet a/',
      display: 'main@91ffe02',
      locked: `?ref=refs/heads/main&rev=${REV}&dir=nix/fleet%20a&shallow=1`,
    },
  ])('$ref $path -> $display', async ({ ref, path, display, locked }) => {
    const git = { url: URL_, ...(ref && { ref }), ...(path && { path }) };
    const found = sourceOf(await resolveGit(git, undefined, { run: scripted(refs).run, signal }));
    expect(found?.display).toBe(display);
    expect(found?.locked).toBe(`git+${URL_}${locked}`);
    expect(found?.request).toEqual({ kind: 'flake', ref: found?.locked });
  });

  test('the same commit is the same content, whatever ref leads to it', async () => {
    const by = async (ref: GitSource['ref']) =>
      sourceOf(await resolveGit({ url: URL_, ...(ref && { ref }) }, undefined, { run: scripted(refs).run, signal }))
        ?.identity;
    expect(await by({ branch: 'main' })).toEqual(await by({ commit: REV }));
  });

  test('a commit asks nobody', async () => {
    const { run, calls } = scripted('');
    await resolveGit({ url: URL_, ref: { commit: REV } }, undefined, { run, signal });
    expect(calls).toEqual([]);
  });

  test.each([
    [{ branch: 'gone' }, 'spec.source.git.ref.branch', 'has no branch gone'],
    [{ tag: 'gone' }, 'spec.source.git.ref.tag', 'has no tag gone'],
    [undefined, 'spec.source.git.url', 'has no commit yet'],
  ])('%o that is not there', async (ref, field, message) => {
    const found = await resolveGit({ url: URL_, ...(ref && { ref }) }, undefined, { run: scripted('').run, signal });
    expect(problemOf(found)).toMatchObject({ field, transient: true });
    expect(problemOf(found)?.message).toContain(message);
  });
});

describe('nothing that a person writes becomes an option, a pattern or a command', () => {
  test.each<[Partial<GitSource>, string]>([
    [{ url: 'ext::sh -c true' }, 'spec.source.git.url'],
    [{ url: '--upload-pack=touch /tmp/x' }, 'spec.source.git.url'],
    [{ url: 'ssh://-oProxyCommand=true/x' }, 'spec.source.git.url'],
    [{ url: 'ssh://-oProxyCommand=true@host/x' }, 'spec.source.git.url'],
    [{ url: 'https://user:secret@host/x' }, 'spec.source.git.url'],
    [{ url: 'https://host/x?rev=1' }, 'spec.source.git.url'],
    [{ ref: { branch: '--upload-pack=x' } }, 'spec.source.git.ref.branch'],
    [{ ref: { branch: '*' } }, 'spec.source.git.ref.branch'],
    [{ ref: { branch: 'a b' } }, 'spec.source.git.ref.branch'],
    [{ ref: { tag: 'v1^{}' } }, 'spec.source.git.ref.tag'],
    [{ ref: { tag: '../x' } }, 'spec.source.git.ref.tag'],
    [{ ref: { commit: 'HEAD' } }, 'spec.source.git.ref.commit'],
    [{ path: '../other' }, 'spec.source.git.path'],
    [{ path: '/etc' }, 'spec.source.git.path'],
  ])('%o', async (change, field) => {
    const { run, calls } = scripted('');
    const found = await resolveGit({ url: URL_, ...change }, undefined, { run, signal });
    expect(problemOf(found)).toMatchObject({ reason: 'InvalidSpec', field, transient: false });
    expect(problemOf(found)?.remedy).toBeTruthy();
    expect(calls).toEqual([]);
  });

  test('the URL stands after --, and git reads no configuration but ours', async () => {
    const { run, calls } = scripted('');
    await resolveGit({ url: URL_ }, undefined, { run, signal });
    expect(calls[0]?.args).toEqual(['ls-remote', '--symref', '--', URL_, 'HEAD']);
    expect(calls[0]?.env).toMatchObject({
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: 'https:http:ssh:file',
    });
  });
});

describe('credentials reach git through private files, never through arguments or its environment', () => {
  test.each([
    { secret: { username: 'bot', password: 'p@ss:w"rd\n' }, config: 'helper = store --file=' },
    {
      secret: { bearerToken: 's3cret' },
      config: '[http "https://git.example/"]\nextraHeader = "Authorization: Bearer s3cret"',
    },
  ])('$secret', async ({ secret, config }) => {
    const { run, calls } = scripted(`${REV}\tHEAD\n`);
    await resolveGit({ url: URL_, secretRef: { name: 's' } }, secret, { run, signal });
    expect(calls[0]?.config).toContain(config);
    const visible = JSON.stringify([calls[0]?.args, calls[0]?.env]);
    for (const value of Object.values(secret)) expect(visible).not.toContain(value.trim());
  });

  test('nothing is left behind', async () => {
    const { run, calls } = scripted(failing('fatal: no'));
    await resolveGit({ url: URL_, secretRef: { name: 's' } }, { bearerToken: 's3cret' }, { run, signal });
    await expect(readFile(calls[0]?.env['GIT_CONFIG_GLOBAL'] ?? '')).rejects.toThrow('ENOENT');
  });

  test('ssh trusts only the hosts of the Secret', async () => {
    const { run, calls } = scripted(`${REV}\tHEAD\n`);
    const secret = { identity: 'KEY', known_hosts: 'git.example ssh-ed25519 AAAA' };
    await resolveGit({ url: 'ssh://git@git.example/fleet', secretRef: { name: 's' } }, secret, { run, signal });
    const command = calls[0]?.env['GIT_SSH_COMMAND'] ?? '';
    expect(command).toMatch(/^ssh -F \/dev\/null -i \S+\/identity /);
    expect(command).toContain('-o StrictHostKeyChecking=yes');
    expect(command).not.toContain('KEY');
  });

  test.each<[string, Record<string, string> | undefined, string]>([
    ['https://git.example/x', {}, 'holds neither username and password nor bearerToken'],
    ['https://git.example/x', { username: 'a' }, 'holds neither username and password nor bearerToken'],
    ['https://git.example/x', { bearerToken: 'a b' }, 'bearerToken is not a single word'],
    ['ssh://git@git.example/x', undefined, 'needs identity'],
    ['ssh://git@git.example/x', { identity: 'x' }, 'needs known_hosts'],
  ])('%s with %o: %s', async (url, secret, message) => {
    const found = await resolveGit({ url, secretRef: { name: 's' } }, secret, { run: scripted('').run, signal });
    expect(problemOf(found)).toMatchObject({ reason: 'SecretIncomplete', field: 'spec.source.git.secretRef' });
    expect(problemOf(found)?.message).toContain(message);
  });
});

describe('what git says, in plain words', () => {
  test.each<[string | Ended | Error, string, string | undefined]>([
    [
      "fatal: Authentication failed for 'https://git.example/'",
      'credentials are missing or refused',
      'spec.source.git.secretRef',
    ],
    ['fatal: could not read Username', 'credentials are missing or refused', 'spec.source.git.secretRef'],
    [
      "fatal: repository 'https://git.example/acme/fleet.git/' not found",
      'nothing is at that address',
      'spec.source.git.url',
    ],
    [
      'fatal: unable to access: Could not resolve host: git.example',
      'the host git.example is not known',
      'spec.source.git.url',
    ],
    [
      'Host key verification failed.\nfatal: Could not read from remote repository.',
      'is not the one in known_hosts',
      'spec.source.git.secretRef',
    ],
    [
      'fatal: unable to access: Failed to connect to git.example port 443: Connection refused',
      "can't be reached",
      'spec.source.git.url',
    ],
    ['fatal: something new', 'something new', 'spec.source.git.url'],
    [{ ...ENDED, code: null, timedOut: true }, 'did not answer within 30 s', undefined],
    [new ProgramError("git can't be started: spawn git ENOENT"), "git can't be started", undefined],
  ])('%o', async (said, message, field) => {
    const answer = typeof said === 'string' ? failing(said) : said;
    const problem = problemOf(await resolveGit({ url: URL_ }, undefined, { run: scripted(answer).run, signal }));
    expect(problem?.message).toContain(message);
    expect(problem).toMatchObject({ reason: 'SourceFailed', transient: true });
    expect(problem?.field).toBe(field);
    expect(problem?.remedy).toBeTruthy();
  });
});

describe('a real repository', () => {
  let folder: string;
  const commits: string[] = [];
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
      cwd: join(folder, 'repo'),
      encoding: 'utf8',
    }).trim();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
    execFileSync('git', ['init', '-q', '-b', 'trunk', join(folder, 'repo')]);
    for (const text of ['1', '2']) {
      await writeFile(join(folder, 'repo', 'flake.nix'), text);
      git('add', '.');
      git('commit', '-q', '-m', text);
      commits.push(git('rev-parse', 'HEAD'));
    }
    git('tag', '-a', '-m', 'first', 'v1', commits[0] ?? '');
    git('branch', 'feature/x', commits[0] ?? '');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each<[GitSource['ref'], string, number]>([
    [undefined, 'trunk', 1],
    [{ branch: 'feature/x' }, 'feature/x', 0],
    [{ tag: 'v1' }, 'v1', 0],
  ])('%o', async (ref, name, commit) => {
    const url = `file://${folder}/repo`;
    const found = await resolveGit({ url, ...(ref && { ref }) }, undefined, { run: runProgram, signal });
    expect(sourceOf(found)?.display).toBe(`${name}@${commits[commit]?.slice(0, 7)}`);
  });

  test('no repository there', async () => {
    const found = await resolveGit({ url: `file://${folder}/none` }, undefined, { run: runProgram, signal });
    expect(problemOf(found)?.message).toContain(`file://${folder}/none: nothing is at that address`);
  });
});

test.each([
  ['https://dev.azure.com/acme/My Fleet/_git/x', 'git+https://dev.azure.com/acme/My%20Fleet/_git/x?'],
  ['ssh://git@host/Länder', 'git+ssh://git@host/L%C3%A4nder?'],
  ['https://host/L%C3%A4nder', 'git+https://host/L%C3%A4nder?'],
])('%s is a flake reference that Nix can read', async (url, locked) => {
  const found = await resolveGit({ url, ref: { commit: 'a'.repeat(40) } }, undefined, {
    run: async () => Promise.reject(new Error('nothing is asked')),
    signal: new AbortController().signal,
  });
  expect(found.kind === 'resolved' && found.source.locked).toContain(locked);
});
