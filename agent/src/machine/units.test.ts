// What systemd is asked of units: a check that looked at nothing must not pass.
import { expect, test } from 'vitest';
import type { Clock } from '../attempt/ports.ts';
import type { Commander } from './command.ts';
import { checkHealth, systemdUnits } from './health.ts';
import { ownNetwork } from './network.ts';
import { unitStates } from './units.ts';

const LOADED: Readonly<Record<string, string>> = { 'ok.service': 'active', 'off.service': 'inactive' };

/** As systemctl: `show` of a pattern names the loaded units that match, and of no name the manager itself. */
function systemd(asked: string[][] = []): Commander {
  return async (_program, args) => {
    const names = args.slice(args.indexOf('--') + 1);
    if (args[0] !== 'show') return { code: 0, stdout: '', stderr: '' };
    asked.push(names);
    const known = names.flatMap((name) => {
      if (name === '') return [];
      if (!/[*?[]/.test(name)) return [name];
      return Object.keys(LOADED).filter((unit) => unit.startsWith(name.replace(/[*?[].*$/, '')));
    });
    const block = (name: string) =>
      `Id=${name}\nLoadState=${name in LOADED ? 'loaded' : 'not-found'}\nActiveState=${LOADED[name] ?? 'inactive'}\nSubState=x`;
    const all = names.length === 0 ? ['Version=257\nActiveState=active'] : known.map(block);
    return { code: 0, stdout: all.join('\n\n'), stderr: '' };
  };
}

test('each name has a state, also what systemctl says nothing of', async () => {
  const asked: string[][] = [];
  const names = ['ok.service', 'nginx*.service', 'gone.service', 'o?.service'];
  const states = await unitStates(systemd(asked), names, AbortSignal.timeout(1_000));
  expect(states.map(({ name, active, sub }) => `${name} ${active} ${sub}`)).toEqual([
    'ok.service active x',
    'nginx*.service unknown no-name',
    'gone.service inactive not-found',
    'o?.service unknown no-name',
  ]);
  expect(asked).toEqual([['ok.service', 'gone.service']]);
});

test.each([
  { units: ['ok.service'], passed: true, says: 'ok.service active' },
  { units: ['nginx*.service'], passed: false, says: 'nginx*.service is not the name of a unit' },
  { units: ['o*.service'], passed: false, says: 'o*.service is not the name of a unit' },
  { units: ['off.service'], passed: false, says: 'off.service is inactive' },
  { units: [], passed: false, says: 'it names no unit' },
])('a check of $units: passed $passed', async ({ units, passed, says }) => {
  let now = 0;
  const clock: Clock = {
    now: () => ({ time: '', monotonicMs: now }),
    sleep: async (milliseconds) => {
      now += milliseconds;
    },
  };
  const { checks } = await checkHealth(
    { checks: [{ name: 'web', systemd: { units } }], failedBefore: [], activeBefore: [], exitCode: 0 },
    {
      units: systemdUnits(systemd()),
      clock,
      command: systemd(),
      named: '/nowhere',
      network: ownNetwork((path) => path),
    },
    AbortSignal.timeout(5_000),
  );
  const check = checks?.find(({ name }) => name === 'web');
  expect(check?.passed).toBe(passed);
  expect(check?.message).toContain(says);
});
