// What people do on a machine: checks of its own, a roll-back behind Floe's back that is said and put back, a closure applied by hand that is held until it is released.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { Apart } from '../src/apart.ts';
import type { Installation } from '../src/installation.ts';
import { condition } from '../src/observe.ts';
import type { Probe } from '../src/probe.ts';

let apart: Apart;
let floe: Installation;

const check = (name: string, script: string) =>
  `environment.etc."floe-agent/checks/${name}".text = builtins.toJSON { command = [ "/bin/sh" "-c" "${script}" ]; timeoutSeconds = 5; };`;

beforeAll(async () => {
  floe = await laneInstallation();
  apart = await Apart.take(floe, 'scenario-drift', { m1: `{ ${check('tables', 'echo all tables are there')} }` });
});
afterAll(async () => {
  await agent(await apart.probe('m2'), 'release').catch(() => undefined);
  await apart?.giveBack();
});

/** Runs the agent's program as a person at the console would. */
async function agent(probe: Probe, args: string): Promise<string> {
  const command = "systemctl show -p ExecStart floe-agent | sed 's/.*argv\\[\\]=\\([^;]*\\)--config.*/\\1/'";
  return probe.machine.sh(`$(${command}) ${args}`);
}

test('checks that the machine itself defines count, and say what they found; one that it does not know fails', async () => {
  const probe = await apart.probe('m1');
  const { closure } = await apart.tell('m1', {
    drift: 'Report',
    healthChecks: [
      { name: 'tables', named: 'tables' },
      { name: 'clock', tcp: { host: '127.0.0.1', port: 1 }, timeout: '1s' },
    ],
  });
  const failed = await probe.untilEnded(closure, 'RolledBack');
  expect(failed.status?.attempt?.checks).toMatchObject([
    { name: 'units', passed: true },
    { name: 'tables', passed: true, message: 'all tables are there' },
    { name: 'clock', passed: false, message: expect.stringContaining('ECONNREFUSED') },
  ]);
  expect(condition(failed, 'Ready')?.message).toContain('Check clock: 127.0.0.1:1');
});

test('a roll-back by hand is noticed and left alone, then put back when the spec says so', async () => {
  const probe = await apart.probe('m2');
  const { closure, before } = await apart.tell('m2', { drift: 'Report' });
  await probe.untilEnded(closure, 'Committed');
  await probe.machine.sh(
    `nix-env -p /nix/var/nix/profiles/system --set ${before.current} && ${before.current}/bin/switch-to-configuration switch`,
  );
  const drifted = await probe.untilObject('drift is reported', ({ status }) => status?.drift !== undefined);
  expect(drifted.status?.drift).toMatchObject({ expected: closure, found: before.current, state: 'Reported' });
  expect(condition(drifted, 'Drifted')?.status).toBe('True');
  expect((await probe.closures()).current).toBe(before.current);

  await apart.activation('m2', { drift: 'Revert' });
  const back = await probe.untilObject('it is put back', ({ status }) => status?.drift === undefined);
  expect(condition(back, 'Drifted')?.status).toBe('False');
  expect(condition(back, 'Ready')?.status).toBe('True');
  expect(await probe.closures()).toMatchObject({ current: closure, profile: closure, bootDefault: closure });
});

test('what root applies without the hub is held on reconnect, also with Revert, and ends with release', async () => {
  const probe = await apart.probe('m2');
  const told = (await probe.object()).status?.desired?.closure ?? '';
  const { booted: other } = await probe.closures();
  expect(other).not.toBe(told);
  const cut = await probe.cutOff();
  expect(await agent(probe, `apply ${other} --attempt repair-${Date.now()} --json`)).toContain('"phase":"Committed"');
  await cut.remove();
  const held = await probe.untilObject('it is held', ({ status }) => status?.held !== undefined);
  expect(held.status?.held?.closure).toBe(other);
  expect(condition(held, 'Ready')).toMatchObject({ status: 'False', reason: 'Held' });
  expect(held.status?.drift).toBeUndefined();

  // The same order again, to an agent that has forgotten nothing.
  await probe.machine.sh('systemctl restart floe-agent');
  await probe.untilObject('it is connected again', ({ status }) => status?.connection?.online === true);
  expect((await probe.closures()).current).toBe(other);

  expect(await agent(probe, 'release')).toContain('no longer held');
  await waitUntil(async () => ((await probe.closures()).current === told ? true : undefined), {
    what: 'the machine to go back to what Floe ordered',
    timeoutSeconds: 60,
  });
  await probe.untilObject(
    'the hold is gone',
    ({ status }) => status?.held === undefined && status?.current?.closure === told && status.drift === undefined,
  );
});
