import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Ended, ProgramError, type RunProgram } from '../nix/process.ts';
import type { Resolution } from './source.ts';
import { resolveFlake } from './source-flake.ts';

const { signal } = new AbortController();
const problemOf = (found: Resolution) => (found.kind === 'problem' ? found.problem : undefined);
const sourceOf = (found: Resolution) => (found.kind === 'resolved' ? found.source : undefined);

const STORE_PATH = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-source';
const ENDED: Ended = { code: 0, endedBy: null, timedOut: false, stdout: '', stderr: '' };

/** `lock`: the flake.lock that lies in what was fetched. */
function scripted(answer: Ended | Error | string, lock?: string) {
  const calls: { args: readonly string[]; env: Readonly<Record<string, string>> }[] = [];
  const run: RunProgram = async ({ program, args, env }) => {
    if (program !== 'nix') return ENDED;
    calls.push({ args, env });
    if (lock !== undefined) {
      const source = join(args[args.indexOf('--store') + 1] ?? '', STORE_PATH);
      await mkdir(source, { recursive: true });
      await writeFile(join(source, 'flake.lock'), lock);
    }
    if (answer instanceof Error) throw answer;
    return typeof answer === 'string' ? { ...ENDED, stdout: answer } : answer;
  };
  return { run, calls };
}

const locked = {
  lastModified: 1,
  narHash: 'sha256-x',
  owner: 'acme',
  repo: 'fleet',
  rev: '91ffe02aaaa',
  type: 'github',
};
const metadata = (change: object = {}) =>
  JSON.stringify({ hash: 'sha256-x', locked: { ...locked, ...change }, storePath: STORE_PATH });

test('a reference becomes a locked one', async () => {
  const { run, calls } = scripted(metadata());
  const found = sourceOf(await resolveFlake('github:acme/fleet', undefined, { run, signal }));
  expect(found).toMatchObject({
    display: 'acme/fleet@91ffe02',
    locked: 'github:acme/fleet/91ffe02aaaa',
    request: { kind: 'flake', ref: 'github:acme/fleet/91ffe02aaaa' },
  });
  const args = calls[0]?.args ?? [];
  // Never `flake metadata`, which fetches what the source names.
  expect(args.slice(0, 4)).toEqual(['flake', 'prefetch', '--json', '--refresh']);
  expect(args.slice(-2)).toEqual(['--', 'github:acme/fleet']);
});

test.each([
  ['github:acme/fleet/main?dir=nix', 'acme/fleet/main@91ffe02'],
  ['git+https://git.example/acme/fleet.git?ref=main', 'fleet@91ffe02'],
  ['fleet', 'fleet@91ffe02'],
])('people read %s as %s', async (reference, display) => {
  const found = await resolveFlake(reference, undefined, { run: scripted(metadata()).run, signal });
  expect(sourceOf(found)?.display).toBe(display);
});

test('what it is depends on its content, not on when it was changed', async () => {
  const identity = async (text: string) =>
    sourceOf(await resolveFlake('github:acme/fleet', undefined, { run: scripted(text).run, signal }))?.identity;
  expect(await identity(metadata())).toEqual(await identity(metadata({ lastModified: 2 })));
  expect(await identity(metadata())).not.toEqual(await identity(metadata({ rev: 'b' })));
});

test('credentials stand in a file and in one line of Nix configuration', async () => {
  const { run, calls } = scripted(metadata());
  const secret = {
    netrc: 'machine x password s3cret',
    'access-tokens': 'access-tokens = github.com=t0ken\nsandbox = false',
  };
  await resolveFlake('github:acme/fleet', secret, { run, signal });
  const lines = calls[0]?.env['NIX_CONFIG']?.split('\n') ?? [];
  expect(lines).toContain('access-tokens = github.com=t0ken sandbox = false');
  expect(lines.some((line) => line.startsWith('netrc-file = '))).toBe(true);
  expect(lines.join('\n')).not.toContain('s3cret');
});

test.each([
  ['./fleet', 'is a path'],
  ['/etc', 'is a path'],
  ['path:/etc', 'is a path'],
  ['file:///dev/zero', 'is a path'],
  ['file+file:///run/secrets/x', 'is a path'],
  ['TARBALL+FILE:///tmp/x.tar', 'is a path'],
  ['Path:/../..', 'is a path'],
  ['git+https://host/Länder', 'letters beyond ASCII'],
  ['--store', 'is not a flake reference'],
  ['github:acme/fleet x', 'is not a flake reference'],
  ['github:acme/fleet#web', 'names an output'],
  ['git+https://bot:secret@host/x', 'holds a password'],
])('%s %s', async (reference, message) => {
  const { run, calls } = scripted('');
  const problem = problemOf(await resolveFlake(reference, undefined, { run, signal }));
  expect(problem).toMatchObject({ reason: 'InvalidSpec', field: 'spec.source.flake', transient: false });
  expect(problem?.message).toContain(message);
  expect(calls).toEqual([]);
});

test.each<[Ended | Error | string, string]>([
  [
    { ...ENDED, code: 1, stderr: '\u001b[31merror:\u001b[0m unable to download: HTTP error 404' },
    'nothing is at that address',
  ],
  [{ ...ENDED, code: null, timedOut: true }, 'could not be fetched within 120 s'],
  [new ProgramError("nix can't be started: ENOENT"), "nix can't be started"],
  ['not json', 'gave no locked reference'],
  ['{"locked": null}', 'gave no locked reference'],
  ['[]', 'gave no locked reference'],
])('%o', async (answer, message) => {
  const problem = problemOf(await resolveFlake('github:acme/fleet', undefined, { run: scripted(answer).run, signal }));
  expect(problem).toMatchObject({ reason: 'SourceFailed', field: 'spec.source.flake', transient: true });
  expect(problem?.message).toContain(message);
});

const lockOf = (input: object) => JSON.stringify({ nodes: { zero: { locked: input } }, root: 'root', version: 7 });

test.each([
  ['a device', lockOf({ type: 'file', url: 'file:///dev/zero' }), 'the input zero is /dev/zero'],
  ['a folder', lockOf({ type: 'path', path: '/run/secrets' }), 'the input zero is /run/secrets'],
  [
    'an unresolved merge',
    '{\n<<<<<<< HEAD\n',
    'flake.lock is not JSON (line 2): it holds the marks of an unresolved merge',
  ],
])('a lock with %s is refused before any Job', async (_what, lock, message) => {
  const { run } = scripted(metadata(), lock);
  const problem = problemOf(await resolveFlake('github:acme/fleet', undefined, { run, signal }));
  expect(problem?.message).toContain(message);
  expect(problem?.remedy).toBeDefined();
});

test('a server that leads to a file of the operator is refused', async () => {
  const { run } = scripted(metadata({ type: 'tarball', url: 'file:///etc/passwd' }));
  const problem = problemOf(await resolveFlake('https://host/x.tar.gz', undefined, { run, signal }));
  expect(problem?.message).toContain('a path that no build Job can see');
});

test('what Nix may take is bounded', async () => {
  const limits: (number | undefined)[] = [];
  const run: RunProgram = async ({ program, memoryBytes, maxOutputBytes }) => {
    if (program === 'nix') limits.push(memoryBytes, maxOutputBytes);
    return { ...ENDED, stdout: metadata() };
  };
  await resolveFlake('github:acme/fleet', undefined, { run, signal });
  expect(limits).toEqual([384 << 20, 8 << 20]);
});

test.each([
  ['github:acme/fleet', true],
  ['git+https://host/x', true],
  ['fleet', false],
  ['flake:fleet', false],
])('the registry is asked only where a reference is a name in it: %s', async (reference, isDirect) => {
  const { run, calls } = scripted(metadata());
  await resolveFlake(reference, undefined, { run, signal });
  expect(calls[0]?.env['NIX_CONFIG']?.split('\n').includes('flake-registry =')).toBe(isDirect);
});
