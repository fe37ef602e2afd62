import { expect, test } from 'vitest';
import { BuildLog, derivationFailure } from './build-log.ts';

const drv = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-nginx-1.28.drv';
const none = () => [];

test.each([
  [
    `error: builder for '${drv}' failed with exit code 3;\n       last 1 log lines:\n       > boom`,
    'nginx-1.28 failed to build (exit code 3); its last lines: compiling | boom',
  ],
  [
    `error: Cannot build '${drv}'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         /nix/store/x`,
    'nginx-1.28 failed to build (exit code 3); its last lines: compiling | boom',
  ],
  [
    `error: builder for '${drv}' failed due to signal 9 (Killed)`,
    'nginx-1.28 failed to build (signal 9 (Killed)); its last lines: compiling | boom',
  ],
])('%s', (text, message) => {
  expect(derivationFailure(text, () => ['compiling', '', 'boom'])).toEqual({ derivation: drv, message });
});

test.each([
  [
    `error: hash mismatch in fixed-output derivation '${drv}':\n         specified: sha256-AAA=\n            got:    sha256-BBB=`,
    'nginx-1.28: what was downloaded has the hash sha256-BBB=, but its derivation says sha256-AAA=; update the hash if the change is meant',
  ],
  [
    `error: a 'aarch64-linux' with features {} is required to build '${drv}', but I am a 'x86_64-linux' with features {kvm}`,
    'nginx-1.28 needs a builder for aarch64-linux; this Job runs on x86_64-linux',
  ],
  [
    `error: a 'x86_64-linux' with features {kvm} is required to build '${drv}', but I am a 'x86_64-linux' with features {}`,
    'nginx-1.28 needs a builder for x86_64-linux with kvm; this Job runs on x86_64-linux',
  ],
  [
    `error: Cannot build '${drv}'.\n       Reason: required system or feature not available\n       Required system: 'aarch64-linux' with features {}\n       Current system: 'x86_64-linux' with features {}`,
    'nginx-1.28 needs a builder for aarch64-linux; this Job runs on x86_64-linux',
  ],
  [`error: '${drv}^out' is odd`, "nginx-1.28: 'nginx-1.28^out' is odd"],
])('%s', (text, message) => {
  expect(derivationFailure(text, none)).toEqual({ derivation: drv, message });
});

test.each([
  `error: 1 dependencies of derivation '${drv}' failed to build`,
  `error: Cannot build '${drv}'.\n       Reason: 1 dependency failed.`,
  'error: some other thing',
])('%s blames nobody', (text) => {
  expect(derivationFailure(text, none)).toBeUndefined();
});

test('follows a build', () => {
  const log = new BuildLog();
  log.add({ kind: 'builds', id: 1 });
  expect(log.add({ kind: 'build', id: 2, derivation: drv })).toBe('building nginx-1.28');
  expect(log.add({ kind: 'log', id: 2, line: 'boom' })).toBe('nginx-1.28> boom');
  log.add({ kind: 'build', id: 3, derivation: '/nix/store/0iacmq2d49l5qm1xgkpr982m3rd9ax08-good.drv' });
  log.add({ kind: 'progress', id: 1, done: 1, expected: 2, failed: 1 });
  log.add({ kind: 'progress', id: 9, done: 700, expected: 900, failed: 0 });
  const error = `error: builder for '${drv}' failed with exit code 1`;
  log.add({ kind: 'message', level: 0, text: error });
  log.add({ kind: 'message', level: 0, text: error });
  log.add({ kind: 'message', level: 0, text: 'error: the disk is odd' });
  expect(log.progress).toEqual({ built: 1, total: 2 });
  expect(log.failures).toHaveLength(1);
  expect(log.failures[0]?.message).toContain('boom');
  expect(log.builtDerivations).toBe(1);
  expect(log.generalError).toBe('the disk is odd');
  log.nextRun();
  log.add({ kind: 'builds', id: 1 });
  log.add({ kind: 'progress', id: 1, done: 1, expected: 1, failed: 0 });
  expect(log.progress).toEqual({ built: 2, total: 2 });
  expect(log.generalError).toBeUndefined();
});
