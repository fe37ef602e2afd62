import { expect, test } from 'vitest';
import type { Ended } from '../nix/process.ts';
import { errorText, failureText, nixEnvironment } from './nix.ts';

const ended = (stderr: string, change: Partial<Ended> = {}): Ended => ({
  code: 1,
  endedBy: null,
  timedOut: false,
  stdout: '',
  stderr,
  ...change,
});

test('Nix sees how to reach the network, and no secret of the container', () => {
  const env = nixEnvironment({
    home: '/scratch/home',
    env: {
      PATH: '/usr/bin',
      https_proxy: 'http://proxy',
      AWS_SECRET_ACCESS_KEY: 's',
      NIX_CONFIG: 'plugin-files = x',
      GIT_SSH_COMMAND: 'x',
    },
    variables: { GIT_TERMINAL_PROMPT: '0' },
    buildFolder: '/b',
    settings: { sandbox: 'true', 'access-tokens': 'a=b\nplugin-files = evil' },
  });
  expect(env).toMatchObject({
    PATH: '/usr/bin',
    https_proxy: 'http://proxy',
    HOME: '/scratch/home',
    NIX_REMOTE: 'local',
    NIX_USER_CONF_FILES: '',
    GIT_TERMINAL_PROMPT: '0',
    TMPDIR: '/b',
  });
  expect(env).not.toHaveProperty('AWS_SECRET_ACCESS_KEY');
  expect(env).not.toHaveProperty('GIT_SSH_COMMAND');
  const lines = env['NIX_CONFIG']?.split('\n') ?? [];
  expect(lines).toContain('sandbox = true');
  expect(lines).toContain('access-tokens = a=b plugin-files = evil');
  expect(lines.filter((line) => line.startsWith('plugin-files'))).toEqual([]);
});

test('errors are found in both forms of the log', () => {
  expect(failureText(ended('error: boom\n'))).toBe('boom');
  expect(
    errorText(
      ended('@nix {"action":"msg","level":0,"msg":"error: one"}\n@nix {"action":"msg","level":3,"msg":"chatter"}\n'),
    ),
  ).toBe('error: one');
  expect(failureText(ended('', { code: null, endedBy: 'SIGKILL' }))).toContain('memory');
});
