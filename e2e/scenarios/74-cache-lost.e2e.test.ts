// A cache that has lost what was built: a person reads it, and one order brings it back as it was.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { type Installation, SYSTEM } from '../src/installation.ts';
import { freshMarker } from '../src/scene.ts';
import { Tenant } from '../src/tenant.ts';

const NAME = 'lost';

let floe: Installation;
let tenant: Tenant;

beforeAll(async () => {
  floe = await laneInstallation();
  tenant = await Tenant.create(floe, 'cache-lost');
});
afterAll(() => tenant?.remove());

/** Runs a shell script where the cache keeps its files. */
function inCache(script: string): Promise<string> {
  return floe.cluster.kubectl(['-n', SYSTEM, 'exec', 'deploy/floe-cache', '--', 'sh', '-euc', script]);
}

const folder = (): string => `/cache/${tenant.namespace}`;

/** How many store paths the cache describes for this namespace. */
async function described(): Promise<number> {
  const count = `find ${folder()} -name '*.narinfo' 2>/dev/null | wc -l`;
  return Number((await inCache(count)).trim());
}

test('the volume of the cache is gone: the condition says what is lost and what to do, and that brings it back', async () => {
  const machines = { one: '{ }', two: '{ test.marker = "two"; }' };
  const marker = `{ test.marker = lib.mkDefault "${freshMarker()}"; }`;
  await tenant.publish(NAME, { machines, common: `{ lib, ... }: ${marker}` });
  const source = { git: { url: `http://10.250.0.1:8418/${NAME}.git` } };
  await tenant.apply(tenant.config(NAME, { source }), ...tenant.machines(NAME, ['one', 'two']));
  const { config: built } = await tenant.untilBuilt(NAME);
  const paths = await described();
  expect(paths).toBeGreaterThan(1);

  await inCache(`rm -rf ${folder()}/*`);
  const { config: lost, ready } = await tenant.untilReason(NAME, 'ClosuresLost');
  expect(ready.message).toMatch(/^the cache \S+\/cache-lost has lost \/nix\/store\/\S+ and 1 more, of 2 closures /);
  expect(ready.message).toContain('the annotation floe.dev/retry has them built again');
  // Machines go on with what they have: nothing that Rollouts follow moves.
  expect(lost.status?.revision).toEqual(built.status?.revision);
  expect(await described()).toBe(0);

  await tenant.kubectl('annotate', 'nixconfig', NAME, '--overwrite', 'floe.dev/retry=again');
  const { config: again } = await tenant.until(
    NAME,
    'to be built again',
    ({ config, ready }) => ready.reason === 'Built' && config.status?.lastHandled?.['retry'] === 'again',
    { timeoutSeconds: 180 },
  );
  expect(await described()).toBe(paths);
  expect(again.status?.revision).toEqual(built.status?.revision);
  const records = await tenant.records(NAME);
  expect(records).toHaveLength(2);
  expect(records[1]?.machines).toEqual(records[0]?.machines);
});
