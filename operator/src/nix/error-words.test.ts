import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { errorSentence, errorWords, withoutSecrets, withoutStore } from './error-words.ts';

/** What Nix 2.26 wrote, one case after each line `#### name`. */
const cases = new Map(
  readFileSync(join(import.meta.dirname, 'error-words.fixture.txt'), 'utf8')
    .split(/^#### /m)
    .slice(1)
    .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)] as const),
);

test.each([
  ['undefined variable', "undefined variable 'undefinedVar' (flake.nix:2)"],
  ['missing attribute', "attribute 'ngin' missing, did you mean nginx? (flake.nix:2)"],
  ['infinite recursion', 'infinite recursion encountered (flake.nix:3)'],
  ['assert', "assertion 'false' failed (flake.nix:4)"],
  ['abort', 'stop here (flake.nix:5)'],
  ['syntax', "syntax error, unexpected ';' (x.nix:2)"],
  ['types', 'cannot add a string to an integer (flake.nix:7)'],
  [
    'failed assertions',
    'failed assertions: The fileSystems option does not specify your root file system.; You must set the option boot.loader.grub.devices (flake.nix:8)',
  ],
  ['missing file', "path 'nope.nix' does not exist (flake.nix:13)"],
  [
    'unknown option',
    'the option services.nginx.enabel does not exist, did you mean services.nginx.enable, services.nginx.x or services.y? (web.nix)',
  ],
  [
    'conflict',
    'the option networking.hostName has conflicting definitions: a.nix: "a"; b.nix: "b"; use lib.mkForce or lib.mkDefault on one of them',
  ],
  [
    'wrong type',
    'the option services.x.port is not of type 16 bit unsigned integer; between 0 and 65535 (both inclusive) but "eighty" (web.nix)',
  ],
])('%s', (name, expected) => {
  expect(errorSentence(cases.get(name) ?? '')).toBe(expected);
});

test.each([
  ['nothing', '', 'Nix failed and said nothing'],
  ['only warnings', 'warning: something odd\n', 'warning: something odd'],
  ['git', 'fatal: repository not found\n', 'fatal: repository not found'],
  ['colours', '\u001b[31;1merror:\u001b[0m boom\n', 'boom'],
])('%s', (_name, text, expected) => {
  expect(errorSentence(text)).toBe(expected);
});

test('no address gives a secret away', () => {
  expect(withoutSecrets('git+https://me:pw@host/x and https://token@host/y')).toBe(
    'git+https://host/x and https://host/y',
  );
  expect(withoutSecrets('ssh://git@host/x ssh://git:pw@host/x')).toBe('ssh://git@host/x ssh://git@host/x');
  expect(errorWords('error: unable to download https://me:pw@host/x').message).not.toContain('pw');
});

test('paths of the store become names', () => {
  const path = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08';
  expect(withoutStore(`at ${path}-source/machines/db.nix`)).toBe('at machines/db.nix');
  expect(withoutStore(`'${path}-nginx-1.28.drv'`)).toBe("'nginx-1.28'");
  expect(withoutStore(`'${path}-source'`)).toBe("'the source'");
});

test('any text gives words, and not too many', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          'error:',
          ' error: x',
          '… while',
          'at /a:1:2:',
          '  1| x',
          'did you mean',
          '?',
          '\n',
          '`',
          "'",
          '/nix/store/',
        ),
      ),
      (parts) => {
        const words = errorSentence(parts.join(''));
        expect(words.length).toBeLessThanOrEqual(2000);
      },
    ),
  );
});

test('of a long text only the end is read', () => {
  expect(errorSentence(`error: ${'x'.repeat(100_000)}\nerror: boom\n`)).toBe('boom');
  expect(errorSentence(`error: first\n${'x'.repeat(100_000)}`)).toMatch(/^x+$/);
});
