// `floe get rollout NAME [--watch]`: a rollout as it stands, once or until it ends.

import { setTimeout as pause } from 'node:timers/promises';
import type { NixConfig } from '@floe/crds/nix-config';
import { plainText } from '@floe/crds/plain-text';
import { rfc3339 } from '@floe/crds/rfc3339';
import { nixConfigs, nixMachines } from '@floe/operator/kube/resource';
import { ownership } from '@floe/operator/rollout/ownership';
import {
  CLUSTER_HELP,
  type Client,
  type ClusterPorts,
  clusterFlags,
  findRollout,
  ROLLOUT_KIND,
  withCluster,
} from '../cluster.ts';
import { readFlags } from '../flags.ts';
import { InputError } from '../input-error.ts';
import { outputFlags, wantsJson } from '../output.ts';
import { rolloutLine, rolloutPage } from './rollout-text.ts';
import { type RolloutView, rolloutView } from './rollout-view.ts';

export const GET_HELP = `kubectl floe get rollout NAME [--watch]

Shows a Rollout: its steps, who is in hand, what it waits for, when it will probably end.

  -w, --watch                until the run ends: on a terminal the page is drawn again, on a pipe each change is one
                             line with its time. Exit code 0 when the run completed, 1 when it failed
  -o, --output json          JSON for programs; --json is the same
${CLUSTER_HELP}`;

/** What the command needs beside a cluster. */
export type GetPorts = ClusterPorts & {
  readonly write: (text: string) => void;
  /** Width of the terminal that it writes to, where a page can be drawn again; undefined: it is none. */
  readonly columns: number | undefined;
  /** Time between two looks, in ms. */
  readonly everyMs: number;
};

/** Shows a rollout and returns the exit code. Throws InputError on wrong input. */
export async function getCommand(argv: readonly string[], ports: GetPorts): Promise<number> {
  const flags = readFlags(
    argv,
    { ...clusterFlags, ...outputFlags, watch: 'flag' },
    { n: 'namespace', o: 'output', w: 'watch' },
  );
  const json = wantsJson(flags);
  const name = nameOf(flags.rest);
  return withCluster(flags, ports, async (client, namespace) => {
    const key = { namespace, name };
    if (flags.flag('watch')) return watch(client, key, { ports, json });
    const { view } = await look(client, key, ports.signal);
    ports.write(`${plainText(json ? JSON.stringify(view, undefined, 2) : rolloutPage(view, ports.now()))}\n`);
    return 0;
  });
}

/** `rollout web` or `rollout/web`. */
function nameOf(rest: readonly string[]): string {
  const [first = '', second, extra] = rest;
  const isKind = ROLLOUT_KIND.test(`${first}/`);
  const name = ROLLOUT_KIND.test(first) ? first.replace(ROLLOUT_KIND, '') : isKind ? (second ?? '') : '';
  if (name === '' || (isKind ? extra : second) !== undefined) {
    throw new InputError({
      error: first === '' ? 'nothing is named' : `${rest.join(' ')} can't be shown`,
      field: 'NAME',
      remedy: 'kubectl floe get rollout NAME; a machine is shown by kubectl floe machine NAME',
    });
  }
  return name;
}

type Key = { readonly namespace: string; readonly name: string };
type Look = { readonly view: RolloutView; readonly version: string | undefined };

async function look(client: Client, key: Key, signal: AbortSignal): Promise<Look> {
  const rollout = await findRollout(client, key, signal);
  const { namespace } = key;
  const [configs, machines] = await Promise.all([
    client.list(nixConfigs, { namespace, signal }),
    client.list(nixMachines, { namespace, signal }),
  ]);
  const config: NixConfig | undefined = configs.find(({ metadata }) => metadata.name === rollout.spec.configRef.name);
  const { owned } = ownership(rollout, [rollout], machines);
  return { view: rolloutView(rollout, config, owned), version: rollout.metadata.resourceVersion };
}

/** Shows each change until the run has ended. The fleet is read only when the Rollout itself has changed. */
async function watch(client: Client, key: Key, { ports, json }: { ports: GetPorts; json: boolean }): Promise<number> {
  const { signal, now, everyMs } = ports;
  const draw = drawer(ports, json);
  let version: string | undefined;
  for (;;) {
    const { metadata } = await findRollout(client, key, signal);
    if (version === undefined || metadata.resourceVersion !== version) {
      const seen = await look(client, key, signal);
      version = seen.version;
      draw(seen.view, now());
      if (seen.view.phase === 'Completed') return 0;
      if (seen.view.phase === 'Failed') return 1;
    }
    await pause(everyMs, undefined, { signal });
  }
}

/** Draws views: over the one before on a terminal, else a line where something is new. */
function drawer({ write, columns }: GetPorts, json: boolean): (view: RolloutView, now: Date) => void {
  let lines = 0;
  let before = '';
  return (view, now) => {
    if (columns !== undefined && !json) {
      // A line that wraps would be two to go up.
      const page = plainText(rolloutPage(view, now)).replace(/.+/g, (line) => line.slice(0, columns));
      // Up to the first line of the page before, and clear what is below.
      write(`${lines === 0 ? '' : `\u001b[${lines}A\u001b[J`}${page}\n`);
      lines = page.split('\n').length;
      return;
    }
    const line = plainText(json ? JSON.stringify(view) : rolloutLine(view));
    if (line === before) return;
    before = line;
    write(json ? `${line}\n` : `${rfc3339(now)} ${line}\n`);
  };
}
