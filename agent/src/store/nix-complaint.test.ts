import { expect, test } from 'vitest';
import { nixComplaint } from './nix-complaint.ts';

const closure = '/nix/store/zzm4cx29gij0g18vl1km5vgyirnmxfvw-nixos-system-m3';
const told = (...lines: string[]) =>
  nixComplaint({
    code: 1,
    stdout: '',
    stderr: ['copying 2 paths...', ...lines, `error: build of '${closure}' failed`].join('\n'),
  });

test.each([
  [
    "error: file 'nar/abc.nar.zst' does not exist in binary cache 'http://cache/fleet'",
    'http://cache/fleet describes a path and lacks its file nar/abc.nar.zst: the annotation floe.dev/retry',
  ],
  [`error: hash mismatch importing path '${closure}';`, `hash mismatch importing path '${closure}': the cache holds`],
  ['error: failed to decompress zstd: truncated input', 'failed to decompress zstd: truncated input'],
  [
    `error: input compression not recognized\nerror: some substitutes for '${closure}' failed (usually happens due to networking issues)`,
    'input compression not recognized',
  ],
  [`error: path '${closure}' is required, but there is no substituter that can build it`, "build of '"],
])('the first cause, not what follows from it: %s', (said, words) => {
  expect(told(said)).toContain(words);
});

test('a cause that names no path stands with the path that was begun last, and its cache', () => {
  const copying = `copying path '${closure}' from 'http://cache/fleet'...`;
  expect(told(copying, 'error: input compression not recognized')).toBe(
    `input compression not recognized (${closure} from http://cache/fleet)`,
  );
});

test('of a trace of the evaluator the last line is the cause', () => {
  const stderr = "error:\n … while calling\n error: undefined variable 'x'\n";
  expect(nixComplaint({ code: 1, stdout: '', stderr })).toBe("undefined variable 'x'");
});
