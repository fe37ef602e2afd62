// Which units the way back starts again.
import { expect, test } from 'vitest';
import { activeUnits, offUnits, startBroken } from './broken-units.ts';
import type { Commander } from './command.ts';

const ended = (stdout: string) => ({ code: 0, stdout, stderr: '' });

/** Of a service that was stopped at 50, after it had run from 10 on. */
const STOPPED = 'ActiveEnterTimestampMonotonic=10\nActiveExitTimestampMonotonic=50\nExecMainExitTimestampMonotonic=51';
const unit = (more: string) => `LoadState=loaded\nTransient=no\nTriggeredBy=\n${more}`;
const off = (more: string, times = STOPPED) => unit(`ActiveState=inactive\nResult=success\n${times}\n${more}`);
const WANTED = 'WantedBy=multi-user.target';

const STATES: Readonly<Record<string, string>> = {
  'sshd.service': unit(`ActiveState=failed\n${WANTED}`),
  'web.service': off(WANTED),
  'fine.service': unit(`ActiveState=active\n${WANTED}`),
  'backup.service': off('WantedBy=\nTriggeredBy=backup.timer'),
  'by-hand.service': off('WantedBy='),
  'run-1.service': 'LoadState=loaded\nActiveState=failed\nTransient=yes\nTriggeredBy=\nWantedBy=',
  'gone.service': 'LoadState=not-found\nActiveState=inactive\nTransient=no\nTriggeredBy=\nWantedBy=',
  // Its main process ended, and then it was off.
  'import.service': off(WANTED, STOPPED.replace('=51', '=50')),
  // It remained after its exit, until it was stopped.
  'once.service': off(WANTED, STOPPED.replace('=51', '=9')),
  'held.service': off(`${WANTED}\nConditionResult=no\nConditionTimestampMonotonic=60`),
  'never-asked.service': off(`${WANTED}\nConditionResult=no\nConditionTimestampMonotonic=0`),
  'rescue.service': off('WantedBy=rescue.target'),
  'soon.service': off(`${WANTED}\nJob=77`),
  'multi-user.target': unit('ActiveState=active'),
  'rescue.target': unit('ActiveState=inactive'),
};

function machine(calls: string[] = []): Commander {
  return async (_program, args) => {
    calls.push(args.filter((one) => !one.startsWith('--')).join(' '));
    if (args[0] === 'list-units')
      return ended('fine.service loaded active running x\nsshd.service loaded failed failed x\n');
    if (args[0] !== 'show') return ended('');
    return ended(
      args
        .filter((one) => one in STATES)
        .map((one) => `Id=${one}\n${STATES[one]}`)
        .join('\n\n'),
    );
  };
}

const signal = new AbortController().signal;
const services = Object.keys(STATES).filter((name) => name.endsWith('.service'));

test('what failed or was left off is started, also what only a person had started; what ended, is kept off or is gone is not', async () => {
  const calls: string[] = [];
  expect(await startBroken(machine(calls), services, signal)).toEqual({ kind: 'ok' });
  const started = 'sshd web by-hand once never-asked rescue soon'.split(' ').map((name) => `${name}.service`);
  expect(calls.slice(1)).toEqual([`reset-failed ${started.join(' ')}`, `start ${started.join(' ')}`]);
});

test('off though wanted: what an active unit wants and nothing meant to be off', async () => {
  const found = await offUnits(machine(), services, signal);
  expect(found.map(({ name, sub }) => `${name} ${sub}`)).toEqual([
    'web.service left-off',
    'once.service left-off',
    'never-asked.service left-off',
    'soon.service queued',
  ]);
});

test('a systemd that can not be asked is no answer', async () => {
  const command: Commander = async () => ({ code: 1, stdout: '', stderr: 'Failed to connect to bus' });
  await expect(offUnits(command, services, signal)).rejects.toThrow('Failed to connect to bus');
  expect(await startBroken(command, services, signal)).toMatchObject({ kind: 'failed' });
});

test("the agent's own units are not among those that are remembered", async () => {
  const command: Commander = async () =>
    ended('sshd.service loaded active running SSH\nfloe-agent.service loaded active running x\n');
  expect(await activeUnits(command, new AbortController().signal)).toEqual(['sshd.service']);
});
