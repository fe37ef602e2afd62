// Machines that wait, by reason, as a gauge: as many series as Rollouts and reasons, whatever the size of the fleet.
import { Gauge, type Registry } from 'prom-client';
import type { Hold } from './tell.ts';

type Of = { readonly namespace: string; readonly rollout: string };

/** `floe_rollout_waiting_machines`. */
export class WaitingMetric {
  readonly #gauge: Gauge<'namespace' | 'rollout' | 'reason'>;
  /** The reasons that each Rollout has shown. */
  readonly #reasons = new Map<string, Set<string>>();

  constructor(registry: Registry) {
    this.#gauge = new Gauge({
      name: 'floe_rollout_waiting_machines',
      help: 'Selected machines that are neither done nor told now, by the reason that kubectl floe plan gives.',
      labelNames: ['namespace', 'rollout', 'reason'],
      registers: [registry],
    });
  }

  /** Shows the holds of a plan; a reason that nobody has any more goes to 0. */
  observe(of: Of, holds: readonly Pick<Hold, 'reason'>[]): void {
    const key = keyOf(of);
    const known = this.#reasons.get(key) ?? new Set();
    this.#reasons.set(key, known);
    const counts = new Map<string, number>([...known].map((reason) => [reason, 0]));
    for (const { reason } of holds) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    for (const [reason, count] of counts) {
      known.add(reason);
      this.#gauge.set({ ...of, reason }, count);
    }
  }

  /** Removes the series of a Rollout that is gone. */
  forget(of: Of): void {
    const key = keyOf(of);
    for (const reason of this.#reasons.get(key) ?? []) this.#gauge.remove({ ...of, reason });
    this.#reasons.delete(key);
  }
}

function keyOf({ namespace, rollout }: Of): string {
  return `${namespace}/${rollout}`;
}
