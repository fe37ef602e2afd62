import { expect, test } from 'vitest';
import { type Ended, ProgramError } from '../nix/process.ts';
import { canSandbox } from './sandbox.ts';

const { signal } = new AbortController();
const ended: Ended = { code: 0, endedBy: null, timedOut: false, stdout: '', stderr: '' };

test.each([
  ['the probe works', async () => ended, true],
  ['namespaces are forbidden', async () => ({ ...ended, code: 1 }), false],
  ['the probe hangs', async () => ({ ...ended, code: null, timedOut: true }), false],
  ['there is no unshare', async () => Promise.reject(new ProgramError('not found')), false],
])('%s', async (_what, run, expected) => {
  expect(await canSandbox(run, signal)).toBe(expected);
});
