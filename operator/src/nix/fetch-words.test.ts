import { expect, test } from 'vitest';
import { type FetchCause, fetchWords } from './fetch-words.ts';

const nix = (last: string) =>
  `error:\n       … while fetching the input 'git+https://host/x'\n\n       error: ${last}\n`;
const noMaster = nix("resolving Git reference 'master': revspec 'master' not found");

test.each<[string, FetchCause, string]>([
  [
    `fatal: unable to access 'https://nohost.invalid/x/': Could not resolve host: nohost.invalid\n${noMaster}`,
    'Unreachable',
    'nohost.invalid is not known',
  ],
  [
    nix(
      "unable to download 'https://nohost.invalid/x': Could not resolve hostname (6) Could not resolve host: nohost.invalid",
    ),
    'Unreachable',
    'nohost.invalid is not known',
  ],
  [
    `fatal: unable to access 'http://h:2/x/': Failed to connect to 127.0.0.1 port 2 after 0 ms: Could not connect to server\n${noMaster}`,
    'Unreachable',
    "127.0.0.1 can't be reached",
  ],
  ['ssh: connect to host 10.0.0.1 port 22: Connection timed out', 'Unreachable', "10.0.0.1 can't be reached"],
  [
    `fatal: Authentication failed for 'https://host/x/'\nwarning: could not update mtime for file: No such file or directory\n${noMaster}`,
    'Credentials',
    'credentials',
  ],
  ["fatal: could not read Username for 'https://github.com': terminal prompts disabled", 'Credentials', 'credentials'],
  [
    'git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.',
    'Credentials',
    'credentials',
  ],
  [nix("unable to download 'https://api.github.com/x': HTTP error 403"), 'Credentials', 'credentials'],
  ['Host key verification failed.\nfatal: Could not read from remote repository.', 'HostKey', 'known_hosts'],
  [
    'No ED25519 host key is known for [10.250.0.1]:2222 and you have requested strict checking.\nHost key verification failed.',
    'HostKey',
    'known_hosts has no line for [10.250.0.1]:2222',
  ],
  ['No user exists for uid 1000', 'Other', 'user id 1000'],
  [
    `fatal: couldn't find remote ref refs/heads/nobranch\n${nix("resolving Git reference 'nobranch': revspec 'nobranch' not found")}`,
    'NoSuchRevision',
    'branch, tag or commit nobranch',
  ],
  [
    nix(
      "Cannot find Git revision '0000000000000000000000000000000000000001' in ref 'main' of repository 'https://host/x'!",
    ),
    'NoSuchRevision',
    '0000000000000000000000000000000000000001',
  ],
  [`fatal: repository 'https://host/x/' not found\n${noMaster}`, 'NotFound', 'nothing is at that address'],
  [`fatal: '/nope' does not appear to be a git repository\n${noMaster}`, 'NotFound', 'nothing is at that address'],
  [nix("unable to download 'https://host/x.tar.gz': HTTP error 404"), 'NotFound', 'nothing is at that address'],
  ["error: source tree referenced by 'x' does not contain a '/flake.nix' file", 'NotAFlake', 'no flake.nix'],
  [
    "fatal: unable to access 'https://host/': SSL certificate problem: self-signed certificate",
    'Certificate',
    'self-signed',
  ],
  [nix("unable to download 'https://h': SSL connect error (35) GnuTLS, handshake failed"), 'Certificate', 'TLS'],
  ["error: cannot find flake 'flake:nixpkgs' in the flake registries", 'Registry', 'nixpkgs'],
  [nix("NAR hash mismatch in input 'github:a/b/c', expected 'sha256-a' but got 'sha256-b'"), 'Changed', 'github:a/b/c'],
  ['error: out of memory', 'Other', 'more memory than fetching may take'],
  ['error: writing to file: No space left on device', 'DiskFull', 'full'],
  [nix('[json.exception.parse_error.101] parse error at line 2, column 2: syntax error'), 'Other', 'is not JSON'],
  ["error: '::' is not a valid URL", 'Other', 'no flake reference'],
  ['error: something quite new', 'Other', 'something quite new'],
])('%s', (stderr, cause, words) => {
  const said = fetchWords(stderr, 'https://me:pw@host/x');
  expect(said.cause).toBe(cause);
  expect(said.error).toContain(words);
  expect(said.error).toMatch(/^https:\/\/host\/x: /);
  expect(said.remedy).not.toBe('');
});
