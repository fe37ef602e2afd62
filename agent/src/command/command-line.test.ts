// The command line: what others call the agent with, and what they are told when it is wrong.
import { expect, test } from 'vitest';
import { attemptName } from '../attempt/names.ts';
import { switchUnitArguments } from '../machine/switch-unit.ts';
import { pathsUnder } from '../paths.ts';
import { readCommandLine, UsageError } from './command-line.ts';

const closure = '/nix/store/00000000000000000000000000000000-nixos-system-web';

test.each<{ line: string; is: object }>([
  { line: 'run', is: { kind: 'run', root: '/' } },
  { line: 'run --join-token-file /t', is: { kind: 'run', root: '/', joinTokenFile: '/t' } },
  { line: '--root /r --config /c run', is: { kind: 'run', root: '/r', config: '/c' } },
  {
    line: `apply ${closure} --attempt a`,
    is: { kind: 'apply', closure, attempt: 'a', mode: 'switch', confirm: 'none', timeoutSeconds: 600, json: false },
  },
  {
    line: `--root /r apply ${closure}/ --attempt a --mode boot --confirm hub --timeout 7 --json`,
    is: {
      kind: 'apply',
      closure,
      mode: 'boot',
      confirm: 'hub',
      timeoutSeconds: 7,
      json: true,
      root: '/r',
      withoutAgent: false,
    },
  },
  { line: `apply ${closure} --attempt a --without-agent`, is: { kind: 'apply', withoutAgent: true } },
  { line: `apply --attempt=a ${closure} --root /r`, is: { kind: 'apply', closure, attempt: 'a', root: '/r' } },
  {
    line: `rescue --attempt a --timer 2 --from ${closure} --after 3`,
    is: { kind: 'rescue', attempt: 'a', timer: 2, from: closure, afterSeconds: 3 },
  },
  { line: 'status --json', is: { kind: 'status', json: true } },
  { line: 'approve', is: { kind: 'approve', root: '/' } },
  { line: 'defer', is: { kind: 'defer' } },
  { line: 'defer 1h30m', is: { kind: 'defer', duration: '1h30m' } },
  { line: 'rollback', is: { kind: 'rollback' } },
  { line: 'accept-orders', is: { kind: 'accept-orders' } },
  { line: '--version', is: { kind: 'version' } },
  { line: '--help', is: { kind: 'help' } },
  { line: 'apply --help', is: { kind: 'help' } },
  { line: '', is: { kind: 'help' } },
])('floe-agent $line', ({ line, is }) => {
  expect(readCommandLine(line.split(' ').filter((word) => word !== ''))).toMatchObject(is);
});

test.each<{ line: string; says: string }>([
  { line: 'fly', says: 'use one of run, apply, release, accept-orders, status, approve, defer, rollback, rescue' },
  { line: 'defer soon', says: 'soon: write 30m' },
  { line: 'defer 0s', says: 'write 30m' },
  { line: 'defer 1h 2h', says: 'one duration at a time' },
  { line: 'approve it', says: 'approve takes no such word' },
  { line: 'run now', says: 'run takes no such word' },
  { line: 'run --json', says: '--json does not belong to run' },
  { line: 'run --nonsense', says: '--nonsense' },
  { line: 'apply --attempt a', says: 'give the store path of a NixOS system' },
  { line: 'apply /etc/passwd --attempt a', says: '/etc/passwd: give the store path' },
  { line: `apply ${closure}/bin/sh --attempt a`, says: 'give the store path' },
  { line: `apply ${closure}`, says: '--attempt is missing' },
  { line: `apply ${closure} ${closure} --attempt a`, says: 'one closure at a time' },
  { line: `apply ${closure} --attempt ${'a'.repeat(65)}`, says: 'at most 64 characters' },
  { line: `apply ${closure} --attempt a --mode now`, says: '--mode now: use one of switch, boot, test' },
  { line: `apply ${closure} --attempt a --confirm maybe`, says: '--confirm maybe: use one of none, hub' },
  { line: `apply ${closure} --attempt a --timeout soon`, says: '--timeout soon: use seconds' },
  { line: `apply ${closure} --attempt a --timeout 0`, says: 'more than 0 seconds' },
  { line: `apply ${closure} --attempt a --timeout -1`, says: '--timeout' },
])('floe-agent $line is refused', ({ line, says }) => {
  expect(() => readCommandLine(line.split(' '))).toThrow(UsageError);
  expect(() => readCommandLine(line.split(' '))).toThrow(says);
});

test('what the agent hands to its own wrapper is read back as it was', () => {
  const run = { name: 'a-1', closure, verb: 'boot', skipChecks: true, limitSeconds: 12.5 } as const;
  expect(readCommandLine(switchUnitArguments(pathsUnder('/r'), run))).toEqual({ kind: 'switch-unit', root: '/r', run });
});

test('an attempt makes a name that a unit and a file may have, and no two attempts the same', () => {
  const names = ['a b/c', 'a_b_c', 'x'.repeat(64), '../../etc', '-n'].map((id) => attemptName({ id, closure }));
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_]{1,40}-[0-9a-f]{8}$/);
  expect(new Set(names).size).toBe(names.length);
});
