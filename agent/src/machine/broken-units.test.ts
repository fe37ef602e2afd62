// Which units the way back starts again.
import { expect, test } from 'vitest';
import { activeUnits, startBroken } from './broken-units.ts';
import type { Commander } from './command.ts';

const ended = (stdout: string) => ({ code: 0, stdout, stderr: '' });

const STATES: Readonly<Record<string, string>> = {
  'sshd.service': 'LoadState=loaded\nActiveState=failed\nTransient=no\nTriggeredBy=\nWantedBy=multi-user.target',
  'web.service': 'LoadState=loaded\nActiveState=inactive\nTransient=no\nTriggeredBy=\nWantedBy=multi-user.target',
  'fine.service': 'LoadState=loaded\nActiveState=active\nTransient=no\nTriggeredBy=\nWantedBy=multi-user.target',
  'backup.service': 'LoadState=loaded\nActiveState=inactive\nTransient=no\nTriggeredBy=backup.timer\nWantedBy=',
  'by-hand.service': 'LoadState=loaded\nActiveState=inactive\nTransient=no\nTriggeredBy=\nWantedBy=',
  'run-1.service': 'LoadState=loaded\nActiveState=failed\nTransient=yes\nTriggeredBy=\nWantedBy=',
  'gone.service': 'LoadState=not-found\nActiveState=inactive\nTransient=no\nTriggeredBy=\nWantedBy=',
};

test('what failed or was left off is started, what comes by itself or is gone is not', async () => {
  const calls: string[] = [];
  const command: Commander = async (_program, args) => {
    calls.push(args.filter((one) => !one.startsWith('--')).join(' '));
    if (args[0] !== 'show') return ended('');
    return ended(
      args
        .filter((one) => one in STATES)
        .map((one) => `Id=${one}\n${STATES[one]}`)
        .join('\n\n'),
    );
  };
  expect(await startBroken(command, Object.keys(STATES), new AbortController().signal)).toEqual({ kind: 'ok' });
  expect(calls.slice(1)).toEqual(['reset-failed sshd.service web.service', 'start sshd.service web.service']);
});

test("the agent's own units are not among those that are remembered", async () => {
  const command: Commander = async () =>
    ended('sshd.service loaded active running SSH\nfloe-agent.service loaded active running x\n');
  expect(await activeUnits(command, new AbortController().signal)).toEqual(['sshd.service']);
});
