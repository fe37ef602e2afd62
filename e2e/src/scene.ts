// What scenarios begin with: a fleet where everyone runs one good revision, and ways to bring the next one.
import type { NixConfigSpec } from '@floe/crds/nix-config';
import type { RolloutSpec } from '@floe/crds/rollout';
import { waitUntil } from '../bed/wait-until.ts';
import { machineObjects } from './acts.ts';
import { type Installation, NAMESPACE } from './installation.ts';
import { type Fleet, waitForFleet } from './observe.ts';

const API = 'floe.dev/v1alpha1';
const SOURCE = 'http://10.250.0.1:8418/fleet.git';

/** A module for all machines with a text that makes its closures unlike those before. */
export function marked(marker: string, more = ''): string {
  return `{ services.hello.enable = true; test.marker = "${marker}"; ${more} }`;
}

/** Unlike any marker before it, also of other processes. */
export function freshMarker(): string {
  return `m${Date.now().toString(36)}`;
}

/** The config `fleet`, from the git repository that `Installation.publish` writes. */
export function config(spec: Partial<NixConfigSpec> = {}): object {
  return {
    apiVersion: API,
    kind: 'NixConfig',
    metadata: { name: 'fleet', namespace: NAMESPACE },
    spec: { source: { git: { url: SOURCE, ref: { branch: 'main' } } }, interval: '2s', ...spec },
  };
}

/** The Rollout `fleet`; where nothing is said it moves everyone at once. */
export function rollout(spec: Partial<RolloutSpec> = {}): object {
  return {
    apiVersion: API,
    kind: 'Rollout',
    metadata: { name: 'fleet', namespace: NAMESPACE },
    spec: { configRef: { name: 'fleet' }, maxUnavailable: '100%', ...spec },
  };
}

/** Publishes a revision and waits until it is built; returns its id. */
export async function publishBuilt(
  floe: Installation,
  modules: Readonly<Record<string, string>>,
  common: string,
): Promise<string> {
  const { commit } = await floe.publish(modules, common);
  const fleet = await waitForFleet(floe, `commit ${commit.slice(0, 7)} to be built`, (seen) => {
    const source = seen.configs.find((item) => item.metadata.name === 'fleet')?.status?.revision?.source ?? '';
    return source.endsWith(commit.slice(0, 7));
  });
  return fleet.configs.find((item) => item.metadata.name === 'fleet')?.status?.revision?.id ?? '';
}

/** Waits until no build Job of the config, nor its input, is left. */
export async function jobsAreGone(floe: Installation): Promise<void> {
  await waitUntil(
    async () =>
      (await floe.kubectl('get', 'jobs,configmaps', '-l', 'floe.dev/config=fleet', '-o', 'name')).trim() === '',
    { what: 'the build Job and its input to be deleted', timeoutSeconds: 30, everySeconds: 0.5 },
  );
}

/** Whether all machines run the revision and the Rollout is done. */
export function isDone(fleet: Fleet, revision: string): boolean {
  const run = fleet.rollouts.find((item) => item.metadata.name === 'fleet');
  return (
    run?.status?.phase === 'Completed' &&
    run.status.revision === revision &&
    fleet.machines.every((machine) => machine.status?.current?.revision === revision)
  );
}

/** Waits until everyone runs the revision. */
export function waitDone(floe: Installation, revision: string): Promise<Fleet> {
  return waitForFleet(floe, `everyone to run ${revision}`, (fleet) => isDone(fleet, revision), {
    timeoutSeconds: 180,
  });
}

/**
 * Everyone on one new good revision, which has `more` beside a marker, with the given Rollout for what comes next. Returns
 * the revision's id.
 */
export async function calm(floe: Installation, spec: Partial<RolloutSpec> = {}, more = ''): Promise<string> {
  await floe.cluster.network.clear();
  await floe.kubectl('delete', 'rollouts.floe.dev', '--all', '--wait=true');
  await floe.apply(...(await machineObjects(floe)), config(), rollout());
  const revision = await publishBuilt(floe, {}, marked(freshMarker(), more));
  await waitDone(floe, revision);
  await floe.apply(rollout(spec));
  return revision;
}
