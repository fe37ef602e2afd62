// What scenarios begin with: a fleet where everyone runs one good revision, and ways to bring the next one.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixConfig, NixConfigSpec } from '@floe/crds/nix-config';
import type { RolloutSpec } from '@floe/crds/rollout';
import { waitUntil } from '../bed/wait-until.ts';
import { machineObjects } from './acts.ts';
import { type Installation, NAMESPACE } from './installation.ts';
import { type Fleet, readFleet, waitForFleet } from './observe.ts';
import { isGood } from './settled.ts';

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
    spec: { source: { git: { url: SOURCE, ref: { branch: 'main' } } }, interval: '30s', ...spec },
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

/** Publishes a commit, and has the config look at it now: a look every other second, all the time, would cost more than many a scenario. */
export async function publish(
  floe: Installation,
  modules: Readonly<Record<string, string>>,
  common: string,
): Promise<string> {
  const { commit } = await floe.publish(modules, common);
  await lookNow(floe);
  return commit;
}

async function lookNow(floe: Installation): Promise<void> {
  const annotations = { 'floe.dev/reconcile': freshMarker() };
  await floe.patch('nixconfigs/fleet', { metadata: { annotations } });
}

/** Publishes a revision and waits until it is built; returns its id. */
export async function publishBuilt(
  floe: Installation,
  modules: Readonly<Record<string, string>>,
  common: string,
): Promise<string> {
  return built(floe, await publish(floe, modules, common));
}

async function built(floe: Installation, commit: string): Promise<string> {
  const short = commit.slice(0, 7);
  const fleet = await waitForFleet(floe, `commit ${short} to be built`, (seen) => sourceOf(seen).endsWith(short));
  return revisionOf(fleet)?.id ?? '';
}

/** Waits until no build Job of the config, nor its input, is left. */
export async function jobsAreGone(floe: Installation): Promise<void> {
  await waitUntil(
    async () => {
      const selector = 'labelSelector=floe.dev/config=fleet';
      const left = await Promise.all([
        floe.cluster.items(`/apis/batch/v1/namespaces/${NAMESPACE}/jobs?${selector}`),
        floe.cluster.items(`/api/v1/namespaces/${NAMESPACE}/configmaps?${selector}`),
      ]);
      return left.flat().length === 0;
    },
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

/** Keeps the commit that the newest {@link calm} has published, where nothing special is in it. */
const PLAIN = 'plain-commit';

/** The newest revision of the shared fleet that is built. */
function revisionOf(fleet: Fleet): NonNullable<NixConfig['status']>['revision'] {
  return fleet.configs.find(({ metadata }) => metadata.name === 'fleet')?.status?.revision;
}

function sourceOf(fleet: Fleet): string {
  return revisionOf(fleet)?.source ?? '';
}

/** What the revision was built from that {@link calm} published last, `main@1234567`; empty where there is none. */
function plainSource(floe: Installation): Promise<string> {
  return readFile(join(floe.cluster.dir, PLAIN), 'utf8').catch(() => '');
}

/** The revision that everyone runs and boots already, where it is one that {@link calm} has made, with nothing special in it. */
async function calmRevision(floe: Installation): Promise<string | undefined> {
  const source = await plainSource(floe);
  const fleet = await readFleet(floe);
  if (source === '' || sourceOf(fleet) !== source) return undefined;
  const id = revisionOf(fleet)?.id;
  return isGood(fleet, floe.machineNames.length, id) ? id : undefined;
}

/** A revision with nothing special in it, built, and none that the config has now: the last one that was good, else a new one. */
export async function anotherCalmRevision(floe: Installation): Promise<string> {
  const source = await plainSource(floe);
  const [, commit] = source.split('@');
  const isOther = commit !== undefined && sourceOf(await readFleet(floe)) !== source;
  // It was built once, and the machines have it: going back to it costs a switch alone.
  if (!isOther || !(await floe.cluster.sources.goBack('fleet', commit))) return newCalmRevision(floe);
  await lookNow(floe);
  return built(floe, commit);
}

/** A new revision, built, with nothing in it but a marker and `more`; returns its id. */
async function newCalmRevision(floe: Installation, more = ''): Promise<string> {
  const revision = await publishBuilt(floe, {}, marked(freshMarker(), more));
  await writeFile(join(floe.cluster.dir, PLAIN), more === '' ? sourceOf(await readFleet(floe)) : '');
  return revision;
}

/**
 * Everyone on one good revision, which has `more` beside a marker, with the given Rollout for what comes next. Without
 * `more` it may be one that they had before. Returns the revision's id.
 */
export async function calm(floe: Installation, spec: Partial<RolloutSpec> = {}, more = ''): Promise<string> {
  await floe.cluster.network.clear();
  const left = more === '' ? await calmRevision(floe) : undefined;
  await floe.kubectl('delete', 'rollouts.floe.dev', '--all', '--wait=true');
  await floe.apply(...(await machineObjects(floe)), config(), rollout());
  const revision = left ?? (await (more === '' ? anotherCalmRevision(floe) : newCalmRevision(floe, more)));
  await waitDone(floe, revision);
  await floe.apply(rollout(spec));
  return revision;
}
