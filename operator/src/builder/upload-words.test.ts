import { expect, test } from 'vitest';
import { uploadFailure } from './upload-words.ts';

const http = (status: number, body: string) =>
  `warning: error: unable to upload 'http://cache/team-a/nar/x': HTTP error ${status}\n\n       response body:\n\n       ${body}; retrying in 287 ms\nwarning: error: unable to upload 'http://cache/team-a/nar/x': Failed to open/read local data from file/application (26) client read\n\n       response body:\n\n       ; retrying in 1 ms\nerror: while uploading`;

test.each([
  [
    http(507, 'the cache is full: it holds 3 GiB of 3 GiB'),
    'the cache http://cache/team-a is full: it holds 3 GiB of 3 GiB',
    false,
  ],
  ['error: writing to file: No space left on device', 'the cache http://cache/team-a is full', false],
  [
    http(403, 'the token belongs to namespace b'),
    'the cache http://cache/team-a refused the upload: the token belongs to namespace b',
    false,
  ],
  [
    http(401, 'uploads need a token as password'),
    'the cache http://cache/team-a refused the upload: uploads need a token as password',
    false,
  ],
  [
    http(409, 'other content'),
    'the cache http://cache/team-a holds other content under the same path: other content',
    false,
  ],
  [http(404, 'no such file'), 'the cache http://cache/team-a refused the upload: no such file', false],
  [http(503, 'busy'), 'the cache http://cache/team-a failed: busy', true],
  [
    "error: unable to upload 'x': Could not connect to server (7) Failed to connect",
    "the cache http://cache/team-a can't be reached",
    true,
  ],
  ['error: something new', 'the upload to http://cache/team-a failed: something new', false],
])('%s', (stderr, message, passes) => {
  const said = uploadFailure(stderr, 'http://me:pw@cache/team-a?compression=zstd');
  expect(said.failure.message).toBe(message);
  expect(said.failure.field).toBe('--cache-url');
  expect(said.passes).toBe(passes);
});

test.each([
  ['nix: ../src/libutil/callback.hh:45: Assertion !prev failed.', 'was left in the middle: Nix crashed', true],
  ['error (ignored): error: interrupted by the user', 'was left in the middle: Nix crashed', true],
  [http(507, 'the cache is full: 1 of 1'), 'is full: 1 of 1', false],
])('Nix crashed after %s', (stderr, message, passes) => {
  const said = uploadFailure(stderr, 'http://cache/team-a', { crashed: true });
  expect(said.failure.message).toBe(`the cache http://cache/team-a ${message}`);
  expect(said.passes).toBe(passes);
});
