// `floe machine NAME`: one machine, why it has not moved, and what it runs.
import {
  CLUSTER_HELP,
  type ClusterPorts,
  clusterFlags,
  MACHINE_KIND,
  objectsIn,
  oneName,
  withCluster,
} from '../cluster.ts';
import { readFlags } from '../flags.ts';
import { findMachine } from '../machine-verbs.ts';
import { outputFlags, wantsJson } from '../output.ts';
import { machinePage } from './machine-text.ts';
import { machineView } from './machine-view.ts';

export const MACHINE_HELP = `kubectl floe machine NAME

Shows a machine: why it has not moved, with the reasons of kubectl floe plan, its place in the queue, its closures, its last
attempt and its connection. When it gets its go is an estimate, as of kubectl floe plan --course.

  -o, --output json          JSON for programs; --json is the same
${CLUSTER_HELP}`;

/** The text to print. Throws InputError on wrong input. */
export async function machineCommand(argv: readonly string[], ports: ClusterPorts): Promise<string> {
  const flags = readFlags(argv, { ...clusterFlags, ...outputFlags }, { n: 'namespace', o: 'output' });
  const json = wantsJson(flags);
  const name = oneName(flags, MACHINE_KIND, 'kubectl floe machine NAME');
  return withCluster(flags, ports, async (client, namespace) => {
    const machine = await findMachine(client, { namespace, name }, ports.signal);
    const now = ports.now();
    const view = machineView(machine, await objectsIn(client, namespace, ports.signal), now);
    if (!json) return machinePage(view, now);
    const { rollout = null, why = null, queue = null } = view;
    return JSON.stringify({ machine: name, rollout, why, queue, status: machine.status ?? {} }, undefined, 2);
  });
}
