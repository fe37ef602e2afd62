// The instruments of the hub.
import type { NixMachine } from '@floe/crds/nix-machine';
import { REFUSAL_REASONS } from '@floe/crds/refusal-reasons';
import { Counter, Gauge, type Registry } from 'prom-client';
import { keyToApprove } from '../conditions/identity.ts';
import type { Transport } from './connection.ts';

export type HubMetrics = {
  readonly refused: Counter<'reason'>;
  readonly messages: Counter<'direction' | 'type'>;
  readonly statusWrites: Counter<'result'>;
  readonly confirmations: Counter<'result'>;
};

/** What the gauges read when they are scraped. */
export type HubLevels = {
  /** Open connections, also those that have not said hello yet. */
  readonly connections: (transport: Transport) => number;
  /** Machines whose news are not stored yet. */
  readonly pendingWrites: () => number;
  readonly machines: () => Iterable<NixMachine>;
};

/** Machines whose key waits for a person. */
const PENDING = 'pending-approval';
/** Conditions of which `floe_machines` counts the machines, with the name of the state for each status. */
const STATES: readonly (readonly [string, { readonly True: string; readonly False: string }])[] = [
  ['Online', { True: 'online', False: 'offline' }],
  ['Ready', { True: 'ready', False: 'unready' }],
  ['Healthy', { True: 'healthy', False: 'unhealthy' }],
  ['Reconciling', { True: 'reconciling', False: '' }],
  ['Stalled', { True: 'stalled', False: '' }],
  ['RebootRequired', { True: 'reboot-required', False: '' }],
  ['Drifted', { True: 'drifted', False: '' }],
];

/** Registers all instruments of the hub with `registry`. */
export function createHubMetrics(registry: Registry, levels: HubLevels): HubMetrics {
  const registers = [registry];
  new Gauge({
    name: 'floe_hub_connections',
    help: 'Connections of agents to this replica, by transport: websocket, poll.',
    labelNames: ['transport'],
    registers,
    collect() {
      for (const transport of ['websocket', 'poll'] as const) {
        this.set({ transport }, levels.connections(transport));
      }
    },
  });
  new Gauge({
    name: 'floe_hub_pending_writes',
    help: 'Machines whose reports are not stored yet.',
    registers,
    collect() {
      this.set(levels.pendingWrites());
    },
  });
  new Gauge({
    name: 'floe_machines',
    help: 'Machines by namespace and state; one machine counts in several states.',
    labelNames: ['namespace', 'state'],
    registers,
    collect() {
      this.reset();
      for (const [namespace, states] of countStates(levels.machines())) {
        for (const [state, count] of states) this.set({ namespace, state }, count);
      }
    },
  });
  const metrics: HubMetrics = {
    refused: new Counter({
      name: 'floe_hub_refused_total',
      help: 'Agents that were not let in, or were put out, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    messages: new Counter({
      name: 'floe_hub_messages_total',
      help: 'Messages by direction (in, out) and type.',
      labelNames: ['direction', 'type'],
      registers,
    }),
    statusWrites: new Counter({
      name: 'floe_hub_status_writes_total',
      help: 'Status writes by result: written, unchanged (no request was made), conflict, failed.',
      labelNames: ['result'],
      registers,
    }),
    confirmations: new Counter({
      name: 'floe_hub_confirmations_total',
      help: 'Answers to machines that confirm an attempt: confirmed, denied, unanswered.',
      labelNames: ['result'],
      registers,
    }),
  };
  // Zeroes are there from the start, so that a rate over the first one is not lost.
  for (const reason of REFUSAL_REASONS) metrics.refused.inc({ reason }, 0);
  for (const result of ['written', 'unchanged', 'conflict', 'failed']) metrics.statusWrites.inc({ result }, 0);
  for (const result of ['confirmed', 'denied', 'unanswered']) metrics.confirmations.inc({ result }, 0);
  return metrics;
}

/** Counts machines by namespace and state; `total` counts all. */
export function countStates(machines: Iterable<NixMachine>): Map<string, Map<string, number>> {
  const counts = new Map<string, Map<string, number>>();
  for (const machine of machines) {
    const namespace = machine.metadata.namespace ?? '';
    let states = counts.get(namespace);
    if (states === undefined) {
      // Zeroes are there from the start, so that a query for failures has an answer while there is none.
      states = new Map(
        ['total', PENDING, ...STATES.flatMap(([, names]) => [names.True, names.False])].map((s) => [s, 0]),
      );
      states.delete('');
      counts.set(namespace, states);
    }
    states.set('total', (states.get('total') ?? 0) + 1);
    for (const state of statesOf(machine)) states.set(state, (states.get(state) ?? 0) + 1);
  }
  return counts;
}

function statesOf(machine: NixMachine): string[] {
  const found: string[] = [];
  for (const [type, names] of STATES) {
    const status = machine.status?.conditions?.find((c) => c.type === type)?.status;
    if (status === 'True' || status === 'False') found.push(names[status]);
  }
  if (keyToApprove(machine) !== undefined) found.push(PENDING);
  return found.filter((state) => state !== '');
}
